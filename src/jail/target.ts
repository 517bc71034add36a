import { accessSync, constants, lstatSync, statSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { realPathOf, toBytes } from '../fs/path-bytes.js';
import type { Manifest, Reason } from '../manifest/manifest.js';
import { STATE_DIRECTORY } from './record/state.js';

/** The place of a jail, with the symbolic links of the user's path resolved once. */
export interface Target {
  /** The jail's real path, whether or not it exists. */
  readonly path: string;
  /** The nearest existing directory: the jail itself or a parent. */
  readonly existing: string;
}

/**
 * Locates a target as far as its path exists.
 *
 * @throws JailbuildError TARGET_NOT_A_DIRECTORY, TARGET_NOT_WRITABLE
 */
export function locateTarget(target: string): Target {
  const absolute = path.resolve(target);
  let existing = absolute;
  for (;;) {
    try {
      const real = realPathOf(existing);
      if (!statSync(toBytes(real)).isDirectory()) throw notADirectory(target, existing);
      return { path: path.join(real, path.relative(existing, absolute)), existing: real };
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOTDIR') {
        existing = path.dirname(existing);
        continue;
      }
      if (errno !== 'ENOENT') {
        if (errno === undefined) throw error;
        throw new JailbuildError('TARGET_NOT_WRITABLE', `${target}: ${strerror(error)}`, target);
      }
      if (isLink(existing)) throw notADirectory(target, existing);
      existing = path.dirname(existing);
    }
  }
}

/**
 * Refuses a target into which a jail cannot or must not be built.
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 * @throws JailbuildError TARGET_IS_ROOT, TARGET_NOT_A_DIRECTORY, TARGET_HOLDS_SOURCES, CONFLICT; after these
 * TARGET_NOT_WRITABLE, which a dry run may ignore
 */
export function checkTarget(manifest: Manifest, target: string, sourceRoot = ''): void {
  const where = locateTarget(target);
  if (where.path === '/') {
    throw new JailbuildError(
      'TARGET_IS_ROOT',
      `${target}: is the root directory: choose another target`,
      target,
    );
  }
  refuseSources(manifest, target, where.path, sourceRoot);
  refuseState(manifest);
  try {
    accessSync(toBytes(where.existing), constants.W_OK | constants.X_OK);
  } catch (error) {
    const at = where.existing === where.path ? '' : `${where.existing}: `;
    throw new JailbuildError('TARGET_NOT_WRITABLE', `${target}: ${at}${strerror(error)}`, target);
  }
}

function refuseSources(manifest: Manifest, target: string, real: string, sourceRoot: string): void {
  if (sourceRoot !== '' && isBelow(sourceRoot, real, true)) {
    throw holdsSources(target, `contains the sysroot ${sourceRoot}`);
  }
  for (const tree of copiedTrees(manifest)) {
    if (isBelow(real, sourceRoot + tree, true)) {
      throw holdsSources(target, `is inside ${sourceRoot}${tree}, which is being copied`);
    }
  }
  for (const { type, source } of manifest.entries) {
    if (source !== undefined && type !== 'directory' && isBelow(sourceRoot + source, real, false)) {
      throw holdsSources(target, `contains ${sourceRoot}${source}, which is being copied`);
    }
  }
}

/** Reasons for directories included for themselves or as parents, without their content. */
const WITHOUT_CONTENT: ReadonlySet<Reason['kind']> = new Set([
  'parent',
  'link-target',
  'observed',
  'directory',
  // A home directory of the sysroot, without its content.
  'account',
]);

/** Refuses a plan that contains a record, which could determine what later builds copy. */
function refuseState({ entries }: Manifest): void {
  const found = entries.find(({ path: at }) => `${at}/`.startsWith(`/${STATE_DIRECTORY}/`));
  if (found === undefined) return;
  throw new JailbuildError(
    'CONFLICT',
    `${found.path}: /${STATE_DIRECTORY} is reserved for the jail's record: leave it out or place it elsewhere`,
    found.path,
  );
}

/** Returns directories copied with their content, not only as parents. */
export function copiedTrees({ entries }: Manifest): string[] {
  return entries.flatMap(({ type, source, reasons }) =>
    type === 'directory' &&
    source !== undefined &&
    reasons.some(({ kind }) => !WITHOUT_CONTENT.has(kind))
      ? [source]
      : [],
  );
}

function isBelow(inner: string, outer: string, orEqual: boolean): boolean {
  return inner.startsWith(`${outer}/`) || (orEqual && inner === outer);
}

/** Returns whether a path that resolves to nothing is a dangling symbolic link. */
function isLink(at: string): boolean {
  return lstatSync(toBytes(at), { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function holdsSources(target: string, what: string): JailbuildError {
  return new JailbuildError('TARGET_HOLDS_SOURCES', `${target}: ${what}`, target);
}

function notADirectory(target: string, existing: string): JailbuildError {
  const at = existing === path.resolve(target) ? target : `${target}: ${existing}`;
  return new JailbuildError('TARGET_NOT_A_DIRECTORY', `${at}: is not a directory`, target);
}
