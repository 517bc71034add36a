import { createHash } from 'node:crypto';
import { errnoOf } from '../../errors.js';
import { keyOf } from '../../fs/file-facts.js';
import type { FileStat } from '../../fs/file-view.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { KeptFiles } from './kept-files.js';

/** Everything that a result depends on in a file system, in a form that is kept with it. */
export interface SeenFiles {
  /** What was looked up, without links on the way. */
  readonly paths: readonly string[];
  /** Paths of which any change counts, also if they are directories. */
  readonly stamps: readonly string[];
  /** Directories whose names were read. */
  readonly lists: readonly string[];
  /** Of the attributes of these paths, and the names in these directories. */
  readonly digest: string;
}

/**
 * Returns what a part of a sysroot has looked at.
 *
 * @param stamps further paths of which any change counts; they were looked up before anything was read
 * @param most maximum number of paths
 * @returns undefined if something may have changed meanwhile without another time, or if there are more paths
 */
export function seenBy(
  part: Sysroot,
  stamps: readonly string[],
  kept: Pick<KeptFiles, 'isSettled'>,
  most: number,
): SeenFiles | undefined {
  const observed = part.observed();
  if (observed === undefined) return undefined;
  const { found, absent, lists, stamped } = observed;
  const compared = new Set([...stamps, ...stamped]);
  for (const [path, stat] of found) {
    const isCompared = stat.type !== 'directory' || compared.has(path);
    if (isCompared && !kept.isSettled(stat)) return undefined;
  }
  const paths = [...found.keys(), ...absent];
  if (paths.length > most) return undefined;
  const seen = { paths, stamps: [...compared], lists: [...lists.keys()] };
  const digest = digestOf(part, seen);
  return digest === undefined ? undefined : { ...seen, digest };
}

/** Returns whether everything is as it was, and has a sysroot observe it. */
export function isUnchanged(sysroot: Sysroot, seen: SeenFiles): boolean {
  return digestOf(sysroot, seen) === seen.digest;
}

/** @returns undefined if something cannot be inspected */
function digestOf(
  sysroot: Sysroot,
  { paths, stamps, lists }: Omit<SeenFiles, 'digest'>,
): string | undefined {
  const hash = createHash('sha256');
  try {
    for (const path of paths) hash.update(`${permissionsOrStamp(sysroot.lstat(path))}\n`);
    for (const path of stamps) hash.update(`${stampOf(sysroot.stamp(path))}\n`);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
  for (const path of lists) hash.update(`${sysroot.names(path).join('\0')}\n`);
  return hash.digest('hex').slice(0, 32);
}

/** Of a directory, what was looked up in it is compared by itself. */
function permissionsOrStamp(stat: FileStat | undefined): string {
  return stat?.type === 'directory' ? `${stat.mode} ${stat.uid} ${stat.gid}` : stampOf(stat);
}

/**
 * Nothing is kept that depends on a file whose change time is unknown. Permissions and owners of an unpacked image are
 * recorded elsewhere.
 */
function stampOf(stat: FileStat | undefined): string {
  if (stat === undefined) return '-';
  const { mode, uid, gid } = stat;
  return `${keyOf(stat) ?? '?'} ${mode} ${uid} ${gid}`;
}
