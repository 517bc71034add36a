import { statSync } from 'node:fs';
import { JailbuildError } from '../../errors.js';
import type { Addition } from '../../export/additions.js';
import { portableName, portableTree, programInTree } from '../../export/portable.js';
import type { SourceTree } from '../../export/source.js';
import { toBytes } from '../../fs/path-bytes.js';
import { Sysroot } from '../../fs/sysroot.js';
import { identityOf } from '../../launcher/identity.js';
import { filtersOf, type LaunchOptions } from '../../launcher/options.js';
import { deniedSystemCalls } from '../../launcher/run.js';
import { systemdUnit } from '../../launcher/systemd-unit.js';
import { PlanView } from '../../plan/plan-view.js';
import type { ImageOptions, JailFile } from '../../profile/jail-file.js';
import type { ExportArguments } from './export.js';
import { withDefaults, withFileOptions } from './jail-file.js';
import { launchOptions, withRecordedDefaults } from './launch.js';
import { type RunArguments, runOptions } from './run.js';

/** What is exported as a portable service. */
export interface PortableSource
  extends Pick<SourceTree, 'tree' | 'sysroot' | 'command' | 'environment'> {
  /** The directory of the jail, if the source is a jail. */
  readonly jail?: string;
  readonly file?: JailFile;
  /** The configuration of the source image. */
  readonly image?: ImageOptions;
}

/**
 * Adds a unit to a tree that runs the command as `jailbuild run` does, by what the jail file, the jail's
 * record or the image's configuration says of it, and above these by the command line.
 *
 * @param place the image or the directory of the portable service
 * @returns the tree, and what the user should know of the unit
 * @throws JailbuildError USAGE, PROGRAM_NOT_FOUND, LAUNCHER_MISSING
 */
export async function withUnit(
  args: ExportArguments,
  source: PortableSource,
  place: string,
): Promise<{ readonly tree: SourceTree['tree']; readonly warnings: readonly string[] }> {
  const name = portableName(place);
  const run = runOf(args, source);
  if (run.network !== undefined && run.network !== 'host' && run.network !== 'none') {
    usage(`--network ${run.network}: a systemd unit cannot express this option: leave it out`);
  }
  const [program, ...words] = run['--']?.length ? run['--'] : (source.command ?? []);
  if (program === undefined) {
    return usage(
      'portable: the service has no command: give one after --, or run.command in the jail file',
    );
  }
  const ownIds = (['userns', 'map-auto', 'uidmap', 'gidmap'] as const).find((name) => run[name]);
  if (ownIds !== undefined)
    usage(`--${ownIds}: a systemd unit cannot express this option: leave it out`);
  // systemd starts the service in the host's user namespace, whoever exports it.
  const asked = launchOptions({ ...run, userns: 'host' });
  const launch = args.verity ? { ...asked, shareIpc: true } : asked;
  const { tree, sysroot } = source;
  const root = new Sysroot(new PlanView(tree.entries, tree.sourceRoot));
  const user = launch.user === undefined ? {} : { user: identityOf(root, launch.user) };
  const denied = filtersOf(launch).includes('default') ? await deniedSystemCalls() : [];
  const unit = systemdUnit(
    launch,
    {
      command: [programInTree(tree, program), ...words],
      description: `${name}, in a root file system made by jailbuild`,
      ...user,
    },
    denied,
  );
  return {
    tree: portableTree(tree, sysroot, name, unit, targetsOf(launch)),
    warnings: launch.shareIpc && !asked.shareIpc ? [sharedIpc(name)] : [],
  };
}

/**
 * systemd opens the image after it has made the service's namespaces (exec-invoke.c). libdevmapper then waits for udev
 * on a semaphore, which udev does not find in its own IPC namespace, until the start times out.
 */
function sharedIpc(name: string): string {
  return `${name}.service: shares the IPC namespace of the host, since systemd cannot open a verity image in another one: accept this with \`ipc: host\` below \`run\` in the jail file, or leave out --verity`;
}

/** Returns the requested run; later sources override earlier ones. */
function runOf(
  args: ExportArguments,
  { jail, file, image, environment }: PortableSource,
): RunArguments {
  const none = withDefaults(runOptions) as RunArguments;
  const variables = Object.entries(environment).map((variable) => variable.join('='));
  let run: RunArguments = { ...none, env: variables };
  if (file !== undefined) {
    const { options, command } = file.run;
    const own = withFileOptions(none, options, runOptions);
    run = { ...own, env: [...variables, ...(own.env ?? [])], '--': [...command] };
  } else if (jail !== undefined) {
    run = withRecordedDefaults(jail, none, runOptions);
  } else if (image !== undefined) {
    const { user, workdir, env = [], entrypoint = [], cmd = [] } = image;
    run = {
      ...run,
      env: [...variables, ...env],
      ...(user === undefined ? {} : { user }),
      ...(workdir === undefined ? {} : { workdir }),
      '--': [...entrypoint, ...cmd],
    };
  }
  const cmd = args['--'] ?? (args.cmd === undefined ? undefined : [args.cmd]);
  return {
    ...run,
    env: [...(run.env ?? []), ...(args.env ?? [])],
    ...(args.user === undefined ? {} : { user: args.user }),
    ...(args.workdir === undefined ? {} : { workdir: args.workdir }),
    ...(cmd === undefined ? {} : { '--': cmd }),
  };
}

/** Mount points of the unit, and its working directory. */
function targetsOf({ mounts = [], cwd = '/' }: LaunchOptions): Map<string, Addition> {
  const targets = new Map<string, Addition>(cwd === '/' ? [] : [[cwd, 'directory']]);
  for (const mount of mounts) {
    const source = 'source' in mount ? mount.source : '/';
    const isFile = statSync(toBytes(source), { throwIfNoEntry: false })?.isFile() ?? false;
    targets.set(mount.target, isFile ? { text: '' } : 'directory');
  }
  return targets;
}

function usage(message: string): never {
  throw new JailbuildError('USAGE', message);
}
