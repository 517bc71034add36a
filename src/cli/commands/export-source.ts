import { statSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import {
  jailTree,
  manifestTree,
  recordedTree,
  requestTree,
  type SourceTree,
} from '../../export/source.js';
import { toBytes } from '../../fs/path-bytes.js';
import { type JailFile, readJailFile } from '../../profile/jail-file.js';
import type { ExportArguments } from '../options/export.js';
import { findJailFile } from '../options/jail-file.js';
import type { ProofSubject } from '../options/proofs.js';
import { registryOptionsOf } from '../options/registry.js';
import { jailFileRequest, optionsRequest } from '../options/request.js';
import { optionsOf, resolveOptions } from '../options/resolve.js';
import type { ImageTree } from './image-source.js';

/** The source of an export, as named on the command line. */
export interface ExportSource {
  /** The jail file, if the source is one. */
  readonly file?: JailFile;
  /** The directory of the jail, if the source is one. */
  readonly jail?: string;
  /** Returns the root in which proofs run, for sources other than jail files. */
  toProve?(): Promise<ProofSubject>;
  read(): Promise<SourceTree & Partial<Pick<ImageTree, 'image' | 'leftOut' | 'from'>>>;
}

/** What is exported for one platform. */
export interface Part {
  readonly args: ExportArguments;
  readonly source: ExportSource;
}

/** Options that determine how programs are resolved. */
export const RESOLVE_OPTIONS = [
  'profile',
  'include',
  'exclude',
  ...(Object.keys(resolveOptions) as (keyof typeof resolveOptions)[]),
  'allow-missing',
] as const;

/**
 * Finds the source of an export: a jail, a jail file, a manifest, or programs.
 *
 * @param purpose to look at a source, missing libraries and changed sources of a manifest do not matter
 * @throws JailbuildError USAGE, and what reading a jail file throws
 */
export function findSource(
  { platformRoot, ...given }: ExportArguments,
  purpose: 'export' | 'view' = 'export',
): ExportSource {
  const { what = [], from } = given;
  const isLenient = purpose === 'view';
  const options = RESOLVE_OPTIONS.filter((name) => given[name] !== undefined);
  const args = { ...given, ...platformRoot };
  const reading = { noCache: args['no-cache'] };
  const only = (kind: string, ...allowed: readonly string[]): void => {
    const other = options.find((name) => !allowed.includes(name));
    if (other === undefined) return;
    throw new JailbuildError('USAGE', `--${other} applies to programs, not to ${kind}`);
  };
  if (from !== undefined && what.length > 0) {
    throw new JailbuildError('USAGE', 'name a jail or programs, or give --from, not both');
  }
  if (args['from-image'] !== undefined) {
    if (from !== undefined || args.sysroot !== undefined) {
      throw new JailbuildError('USAGE', '--from-image cannot be combined with --from or --sysroot');
    }
    return {
      async read() {
        const { imageTree } = await import('./image-source.js');
        return imageTree(args);
      },
      async toProve() {
        const { imageRequest } = await import('./image-source.js');
        return imageRequest(args);
      },
    };
  }
  if (from?.endsWith('.json')) {
    only('a manifest', 'sysroot', 'allow-missing');
    if (isLenient) return { read: async () => recordedTree(from, args.sysroot) };
    return { read: () => manifestTree(from, args.sysroot, args['allow-missing'] ?? false) };
  }
  const named = options.includes('profile') ? from : findJailFile(from, what[0]);
  if (named !== undefined) {
    only('a jail file', 'allow-missing');
    const file = readJailFile(named);
    const allowMissing =
      isLenient || (args['allow-missing'] ?? file.options['allow-missing'] === true);
    const request = { ...jailFileRequest(file), ...platformRoot };
    const access = { ...reading, registry: registryOptionsOf(given) };
    return { file, read: () => requestTree(request, allowMissing, access) };
  }
  if (isJail(what)) {
    if (platformRoot !== undefined) {
      throw new JailbuildError(
        'USAGE',
        `${what[0]}: a jail has its own root: give --platform without one`,
      );
    }
    only('a jail');
    const jail = path.resolve(what[0] ?? '');
    return { jail, read: () => jailTree(jail, registryOptionsOf(given)) };
  }
  const asked = [...what, ...(args.profile ?? [])];
  if (asked.length === 0) throw new JailbuildError('USAGE', 'name a jail or at least one program');
  const { profile, include, exclude } = args;
  const request = { ...optionsOf(args), program: [...what], profile, include, exclude };
  const allowMissing = isLenient || (args['allow-missing'] ?? false);
  return {
    read: () => requestTree(optionsRequest(request), allowMissing, reading),
    toProve: async () => ({ request: optionsRequest(request), command: [], run: {} }),
  };
}

/** Returns whether a lone word names a jail. */
function isJail(what: readonly string[]): boolean {
  const [word, ...others] = what;
  if (word === undefined || others.length > 0) return false;
  return statSync(toBytes(word), { throwIfNoEntry: false })?.isDirectory() ?? false;
}
