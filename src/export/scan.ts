import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError, strerror } from '../errors.js';
import { deviceNumbers } from '../fs/device-numbers.js';
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
 * @throws JailbuildError TARGET_NOT_A_DIRECTORY, NOT_READABLE, NOT_EXPORTABLE
 */
export function scanTree(root: string, { leaveOut }: ScanOptions): Scan {
  const sourceRoot = path.resolve(root) === '/' ? '' : path.resolve(root);
  const top = lstat(sourceRoot || '/');
  if (!top.isDirectory()) {
    throw new JailbuildError('TARGET_NOT_A_DIRECTORY', `${root}: is not a directory`, root);
  }
  const found: { readonly entry: Entry; readonly identity: string }[] = [];
  const warnings: string[] = [];

  const visit = (inside: string): void => {
    for (const name of list(sourceRoot + inside)) {
      if (inside === '' && leaveOut.includes(name)) continue;
      const at = `${inside}/${name}`;
      const stats = lstat(sourceRoot + at);
      if (stats.isSocket()) {
        warnings.push(`${sourceRoot}${at}: is a socket, left out`);
        continue;
      }
      found.push({
        entry: entryOf(at, stats, sourceRoot + at),
        identity: `${stats.dev}:${stats.ino}`,
      });
      if (!stats.isDirectory()) continue;
      if (stats.dev === top.dev) visit(at);
      else warnings.push(`${sourceRoot}${at}: is a mount point, its content is left out`);
    }
  };
  visit('');
  found.sort((a, b) => Buffer.compare(Buffer.from(a.entry.path), Buffer.from(b.entry.path)));
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

function entryOf(at: string, stats: BigIntStats, realPath: string): Entry {
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
  if (stats.isSymbolicLink()) return { type: 'symlink', ...base, target: readlink(realPath) };
  if (stats.isFIFO()) return { type: 'fifo', ...base };
  if (stats.isFile()) return { type: 'file', ...base, size: Number(stats.size) };
  const type = stats.isBlockDevice() ? 'block-device' : 'character-device';
  return { type, ...base, ...deviceNumbers(stats.rdev) };
}

function lstat(realPath: string): BigIntStats {
  try {
    return lstatSync(realPath, { bigint: true });
  } catch (error) {
    throw notReadable(realPath, error);
  }
}

function list(realPath: string): string[] {
  try {
    return readdirSync(realPath, { encoding: 'buffer' }).map((name) => text(name, realPath));
  } catch (error) {
    throw notReadable(realPath, error);
  }
}

function readlink(realPath: string): string {
  try {
    return text(readlinkSync(realPath, { encoding: 'buffer' }), realPath);
  } catch (error) {
    throw notReadable(realPath, error);
  }
}

/** A plan's names are text: a name in another encoding would come out as another name. */
function text(bytes: Buffer, realPath: string): string {
  const name = bytes.toString('utf8');
  if (Buffer.from(name).equals(bytes)) return name;
  throw new JailbuildError('NOT_EXPORTABLE', `${realPath}: ${name} is not UTF-8`, realPath);
}

function notReadable(realPath: string, error: unknown): unknown {
  if (error instanceof JailbuildError) return error;
  return new JailbuildError('NOT_READABLE', `${realPath}: ${strerror(error)}`, realPath);
}
