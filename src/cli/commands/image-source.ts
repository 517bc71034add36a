import { JailbuildError } from '../../errors.js';
import { requestTree, type SourceTree } from '../../export/source.js';
import { isTrace, Sysroot } from '../../fs/sysroot.js';
import { hostPlatform, imageRoot } from '../../image/image-root.js';
import { type LeftOut, leftOutOf } from '../../image/left-out.js';
import { parsePlatform } from '../../image/platform.js';
import { slimRequest } from '../../image/slim-request.js';
import type { ContainerConfig, SourceImage } from '../../image/source-image.js';
import type { ImageOptions } from '../../profile/jail-file.js';
import type { ExportArguments } from '../options/export.js';
import type { ProofSubject } from '../options/proofs.js';
import { registryOptionsOf } from '../options/registry.js';
import { optionsRequest } from '../options/request.js';
import { optionsOf } from '../options/resolve.js';

/** What an image becomes without all that its command does not need. */
export interface ImageTree extends SourceTree {
  /** The image's configuration, as an export is asked for one. */
  readonly image: ImageOptions;
  readonly leftOut: LeftOut;
  /** Which image it was. */
  readonly from: { readonly reference: string; readonly id: string };
}

interface ImageRequest extends ProofSubject {
  readonly sysroot: Sysroot;
  readonly image: ImageOptions;
  readonly from: ImageTree['from'];
  readonly warnings: readonly string[];
}

/**
 * Reads an image, and asks for what its entrypoint and command need, with the programs that the command
 * line names beside them.
 *
 * @throws JailbuildError as `imageRoot`, and USAGE
 */
export async function imageRequest(args: ExportArguments): Promise<ImageRequest> {
  const reference = args['from-image'] ?? '';
  const platform = args.platform === undefined ? hostPlatform() : parsePlatform(args.platform);
  const { image, root } = await imageRoot(reference, platform, registryOptionsOf(args));
  const sysroot = new Sysroot(root);
  const { programs, include, path, warnings } = slimRequest(image.config, sysroot);
  const all = [...programs, ...(args.what ?? [])];
  if (all.length === 0 && args.profile === undefined) {
    throw new JailbuildError('USAGE', `${reference}: has no command: name at least one program`);
  }
  const request = {
    ...optionsRequest({
      ...optionsOf(args),
      sysroot: root,
      program: all,
      profile: args.profile,
      include: [...include, ...(args.include ?? [])],
      exclude: args.exclude,
    }),
    ...(path === undefined ? {} : { path }),
  };
  const { Env = [], User, WorkingDir, Entrypoint, Cmd } = image.config;
  const run = {
    env: [...(Env ?? [])],
    ...(User ? { user: User } : {}),
    ...(WorkingDir ? { workdir: WorkingDir } : {}),
  };
  const command = [...(Entrypoint ?? []), ...(Cmd ?? [])];
  const from = { reference, id: image.id };
  return { request, run, command, sysroot, image: requestedImage(image), from, warnings };
}

/**
 * Reads an image, and resolves what its entrypoint and command need.
 *
 * @throws JailbuildError as `imageRequest` and `requestTree`
 */
export async function imageTree(args: ExportArguments): Promise<ImageTree> {
  const { request, sysroot, image, from, warnings } = await imageRequest(args);
  const tree = await requestTree(request, args['allow-missing'] ?? false, {
    noCache: args['no-cache'],
  });
  const origins = tree.tree.entries.flatMap((entry) => {
    const origin = tree.originOf(entry);
    const found = origin === undefined ? undefined : sysroot.trace(origin);
    return found === undefined || !isTrace(found) ? [] : [found.path];
  });
  return {
    ...tree,
    warnings: [...warnings, ...tree.warnings],
    image,
    from,
    leftOut: await leftOutOf(sysroot, new Set(origins)),
  };
}

function requestedImage({ config, author }: SourceImage): ImageOptions {
  const { Entrypoint, Cmd, Env, User, WorkingDir, Labels, StopSignal } = config;
  const names = (set: ContainerConfig['Volumes']) => Object.keys(set ?? {});
  return {
    ...(Entrypoint?.length ? { entrypoint: Entrypoint } : {}),
    ...(Cmd?.length ? { cmd: Cmd } : {}),
    ...(User ? { user: User } : {}),
    ...(WorkingDir ? { workdir: WorkingDir } : {}),
    ...(StopSignal ? { 'stop-signal': StopSignal } : {}),
    ...(author ? { author } : {}),
    env: [...(Env ?? [])],
    expose: names(config.ExposedPorts),
    volumes: names(config.Volumes),
    labels: Labels ?? {},
  };
}
