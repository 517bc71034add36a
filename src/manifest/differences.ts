import type { BigIntStats } from 'node:fs';
import { deviceNumbers } from '../fs/device-numbers.js';
import { typeOf } from './entry-type.js';
import type { Entry, FileEntry } from './manifest.js';
import { nanoseconds, timestamp } from './timestamp.js';

/** An attribute in which a file differs from its entry. */
export interface Difference {
  readonly attribute: 'type' | 'mode' | 'uid' | 'gid' | 'size' | 'target' | 'device' | 'mtime';
  readonly planned: string;
  readonly found: string;
}

export interface Expectation {
  /**
   * The expected owner: `planned`, the default, is the entry's; a fixed account is for a jail whose
   * builder could not give files away; `any` is for a jail whose builder's account is unknown. The
   * last two ignore set-ID bits, which such a builder does not set.
   */
  readonly owner?: 'planned' | 'any' | { readonly uid: number; readonly gid: number };
  /** Reads the target of the file if it is a symbolic link. */
  readonly readTarget: () => string;
}

/**
 * The difference up to which two times are the same, in nanoseconds. Without the native writer,
 * jails are written by Node's utimes, which takes floating-point seconds and truncates to
 * microseconds: together these lose less than 2 µs. File systems and archives with microseconds
 * lose less. native/engine/check.c has the same.
 */
export const TIME_TOLERANCE = 2_000n;

/** Permission bits with set-user-ID, set-group-ID and sticky, and those that any owner may set. */
const ALL_BITS = 0o7777;
const OWN_BITS = 0o1777;

/**
 * Lists how a file differs from its entry, by lstat(2) and the target of a link; `ContentComparer`
 * compares content. A different type is the only difference listed. Ignores the time of
 * directories, since it changes with every new entry, and the mode of links, which have none.
 */
export function differences(
  entry: Entry,
  stat: BigIntStats,
  { owner = 'planned', readTarget }: Expectation,
): Difference[] {
  const type = typeOf(stat);
  if (type !== entry.type) return [{ attribute: 'type', planned: entry.type, found: type }];
  const list: Difference[] = [];
  const compare = (
    attribute: Difference['attribute'],
    planned: string | number,
    found: string | number,
  ): void => {
    if (planned === found) return;
    list.push({ attribute, planned: String(planned), found: String(found) });
  };
  if (entry.type !== 'symlink') {
    const planned = Number.parseInt(entry.mode, 8) & (owner === 'planned' ? ALL_BITS : OWN_BITS);
    const found = Number(stat.mode) & ALL_BITS;
    if (planned !== found) compare('mode', octal(planned), octal(found));
  }
  if (owner !== 'any') {
    const { uid, gid } = owner === 'planned' ? entry : owner;
    compare('uid', uid, Number(stat.uid));
    compare('gid', gid, Number(stat.gid));
  }
  if ('major' in entry) {
    const { major, minor } = deviceNumbers(stat.rdev);
    compare('device', `${entry.major}:${entry.minor}`, `${major}:${minor}`);
  }
  if (entry.type !== 'directory' && !isSameTime(nanoseconds(entry.mtime), stat.mtimeNs)) {
    list.push({ attribute: 'mtime', planned: entry.mtime, found: timestamp(stat.mtimeNs) });
  }
  if (entry.type === 'file') compare('size', entry.size, Number(stat.size));
  if (entry.type === 'symlink') compare('target', entry.target, readTarget());
  return list;
}

/** Returns whether a file matches its entry, apart from its content. */
export function isAsPlanned(entry: Entry, stat: BigIntStats, expectation: Expectation): boolean {
  return differences(entry, stat, expectation).length === 0;
}

/**
 * Returns whether two times, in nanoseconds since the epoch, are equal within the precision of
 * copies.
 */
export function isSameTime(one: bigint, other: bigint): boolean {
  const drift = one - other;
  return drift < TIME_TOLERANCE && drift > -TIME_TOLERANCE;
}

/**
 * Returns whether a file has the size and time of an entry: it is a copy of the same content, or
 * the unchanged source.
 */
export function isCopyOf(
  { size, mtime }: Pick<FileEntry, 'size' | 'mtime'>,
  other: { readonly size: number; readonly mtimeNs: bigint },
): boolean {
  return size === other.size && isSameTime(nanoseconds(mtime), other.mtimeNs);
}

/** Formats a difference in one line: `mode 0755 -> 0700`. Times are only reported as different. */
export function describeDifference({ attribute, planned, found }: Difference): string {
  return attribute === 'mtime' ? attribute : `${attribute} ${planned} -> ${found}`;
}

/** Formats permission bits as in manifests: four octal digits. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
