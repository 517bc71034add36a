import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { JailbuildError, strerror } from '../errors.js';
import type { IdMap } from './options.js';

/** Which user the caller is in a user namespace. */
export type UserMapping = 'root' | 'keep-id';

interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/**
 * Returns the users and groups of a user namespace.
 *
 * @param subordinate with the ranges that /etc/subuid and /etc/subgid assign to the caller. For root, only these are
 * mapped, so that root in the jail has no rights outside
 * @throws JailbuildError USAGE if there are no such ranges, NOT_READABLE
 */
export function userMaps(
  mapping: UserMapping,
  subordinate: boolean,
  caller: Caller = presentUser(),
): { readonly uids: readonly IdMap[]; readonly gids: readonly IdMap[] } {
  const maps = (own: number, file: string): readonly IdMap[] => {
    const inside = mapping === 'root' ? 0 : own;
    if (!subordinate) return [{ inside, outside: own, count: 1 }];
    const range = rangeOf(file, caller);
    if (caller.uid === 0) return [{ inside: 0, outside: range.start, count: range.count }];
    return around(inside, own, range);
  };
  return { uids: maps(caller.uid, '/etc/subuid'), gids: maps(caller.gid, '/etc/subgid') };
}

/** Maps one number to the caller, and the numbers around it to the range, in order. */
function around(inside: number, own: number, range: Range): readonly IdMap[] {
  const below = Math.min(inside, range.count);
  const maps = [
    { inside: 0, outside: range.start, count: below },
    { inside, outside: own, count: 1 },
    { inside: inside + 1, outside: range.start + below, count: range.count - below },
  ];
  return maps.filter(({ count }) => count > 0);
}

interface Range {
  readonly start: number;
  readonly count: number;
}

/** Returns a user's first range in subuid(5) or subgid(5), by name or number. */
function rangeOf(file: string, caller: Caller): Range {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${file}: ${strerror(error)}`, file);
  }
  for (const line of text.split('\n')) {
    const [who, start, count] = line.split(':');
    if (who !== caller.name && who !== String(caller.uid)) continue;
    const range = { start: Number(start), count: Number(count) };
    if (Number.isSafeInteger(range.start) && range.count > 0) return range;
  }
  throw new JailbuildError(
    'USAGE',
    `--map-auto: ${file} has no range for ${caller.name}: add one with usermod --add-subuids`,
    file,
  );
}

function presentUser(): Caller {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  try {
    return { uid, gid, name: userInfo().username };
  } catch {
    // The user has no passwd entry.
    return { uid, gid, name: String(uid) };
  }
}
