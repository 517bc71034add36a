import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { deviceNumbers } from '../fs/device-numbers.js';
import { HeldTree } from '../fs/held-tree.js';
import { pathBuffer, realPathOf } from '../fs/path-bytes.js';
import type { Entry } from '../manifest/manifest.js';
import { timestamp } from '../manifest/timestamp.js';
import type { FileTree } from './file-tree.js';

export interface Scan extends FileTree {
  /** What was left out, for the user. */
  readonly warnings: readonly string[];
}

export interface ScanOptions {
  /** Names in the root directory that do not belong to the tree. */
  readonly leaveOut: readonly string[];
}

/**
 * Everything in a directory, as the entries of a plan. Other file systems that are mounted in it are
 * left out: of what is mounted, the mount point alone is the tree's own.
 *
 * @throws JailbuildError TARGET_NOT_A_DIRECTORY, NOT_READABLE, SOURCE_CHANGED
 */
export function scanTree(root: string, { leaveOut }: ScanOptions): Scan {
  const real = reading(root, () => realPathOf(path.resolve(root)));
  const sourceRoot = real === '/' ? '' : real;
  const tree = new HeldTree(sourceRoot);
  const look = (at: string): BigIntStats | undefined =>
    reading(sourceRoot + at, () => tree.lstat(at));
  const top = look('/');
  if (!top?.isDirectory()) {
    throw new JailbuildError('TARGET_NOT_A_DIRECTORY', `${root}: is not a directory`, root);
  }
  const found: { readonly entry: Entry; readonly identity: string }[] = [];
  const warnings: string[] = [];

  const visit = (inside: string): void => {
    const names = reading(sourceRoot + inside, () => tree.names(inside || '/'));
    for (const name of names) {
      if (inside === '' && leaveOut.includes(name)) continue;
      const at = `${inside}/${name}`;
      const stats = look(at);
      if (stats === undefined) throw changed(sourceRoot + at);
      if (stats.isSocket()) {
        warnings.push(`${sourceRoot}${at}: is a socket: left out`);
        continue;
      }
      found.push({
        entry: reading(sourceRoot + at, () => entryOf(at, stats, tree)),
        identity: `${stats.dev}:${stats.ino}`,
      });
      if (!stats.isDirectory()) continue;
      if (stats.dev === top.dev) visit(at);
      else warnings.push(`${sourceRoot}${at}: is a mount point, its content is left out`);
    }
  };
  try {
    visit('');
  } finally {
    tree.close();
  }
  found.sort((a, b) => Buffer.compare(pathBuffer(a.entry.path), pathBuffer(b.entry.path)));
  return { entries: withHardlinks(found), sourceRoot, warnings };
}

/** Of the names of one file, the first has the content. */
function withHardlinks(
  found: readonly { readonly entry: Entry; readonly identity: string }[],
): Entry[] {
  const firstNames = new Map<string, string>();
  return found.map(({ entry, identity }) => {
    if (entry.type !== 'file') return entry;
    const hardlink = firstNames.get(identity);
    if (hardlink !== undefined) return { ...entry, hardlink };
    firstNames.set(identity, entry.path);
    return entry;
  });
}

function entryOf(at: string, stats: BigIntStats, tree: HeldTree): Entry {
  const base = {
    path: at,
    mode: (stats.mode & 0o7777n).toString(8).padStart(4, '0'),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: timestamp(stats.mtimeNs),
    source: at,
    reasons: [],
  };
  if (stats.isDirectory()) return { type: 'directory', ...base };
  if (stats.isSymbolicLink()) return { type: 'symlink', ...base, target: tree.readlink(at) };
  if (stats.isFIFO()) return { type: 'fifo', ...base };
  if (stats.isFile()) return { type: 'file', ...base, size: Number(stats.size) };
  const type = stats.isBlockDevice() ? 'block-device' : 'character-device';
  return { type, ...base, ...deviceNumbers(stats.rdev) };
}

/** Does a step of reading; its errors are the user's, naming the path. */
function reading<T>(realPath: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno === 'ELOOP' || errno === 'ENOTDIR') throw changed(realPath);
    throw new JailbuildError('NOT_READABLE', `${realPath}: ${strerror(error)}`, realPath);
  }
}

/** What became a link, or went away, between two looks. */
function changed(realPath: string): JailbuildError {
  return new JailbuildError('SOURCE_CHANGED', `${realPath}: changed while it was read`, realPath);
}
