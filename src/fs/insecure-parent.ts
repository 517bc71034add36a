import { lstatSync, readFileSync, type Stats } from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../errors.js';
import { type ListedWriter, listedWriters } from './access-list.js';
import { readLink, toBytes } from './path-bytes.js';

/** Maximum number of links on the way to a file: MAXSYMLINKS of the kernel (path_resolution(7)). */
const MAX_LINKS = 40;

/** A directory or link on a path that others could change, and why they could. */
export interface InsecureParent {
  readonly path: string;
  readonly why: string;
  /** Whether it belongs to a user whom the user namespace does not map, so that nobody can be named. */
  readonly isUnmapped?: boolean;
}

/** A directory that a group without other members may write to. */
interface GroupWritable {
  readonly path: string;
  readonly gid: number;
  /** Changes with the permissions and the access control list. */
  readonly state: string;
}

/**
 * Returns the first directory or link on an absolute path, itself and what links lead to included, that others could
 * change, and why they could. Access control lists count; where they cannot be read, a directory that a group may write
 * to is insecure.
 */
export function insecureParent(existing: string): InsecureParent | undefined {
  const groupWritable: GroupWritable[] = [];
  const uid = process.geteuid?.() ?? 0;
  const waiting = namesOf(existing);
  let directory = '/';
  let links = 0;
  for (let name: string | undefined = '.'; name !== undefined; name = waiting.shift()) {
    const at = path.join(directory, name);
    const stat = lstatSync(toBytes(at));
    const isLink = stat.isSymbolicLink();
    const why = isLink ? ownership(stat, uid) : insecurity(stat, uid);
    if (why !== undefined) {
      return isUnmapped(stat.uid)
        ? { path: at, why: UNMAPPED, isUnmapped: true }
        : { path: at, why };
    }
    if (!isLink) {
      if ((stat.mode & 0o1020) === 0o020) {
        const state = `${stat.dev}:${stat.ino}:${stat.ctimeMs}`;
        groupWritable.push({ path: at, gid: stat.gid, state });
      }
      directory = at;
      continue;
    }
    if (++links > MAX_LINKS) return { path: at, why: 'leads through too many links' };
    const target = readLink(at);
    if (target.startsWith('/')) directory = '/';
    waiting.unshift(...namesOf(target));
  }
  return grantedByList(groupWritable, uid);
}

/** Why lists let others write to directories, by state of the directory; `undefined` if they do not. */
const known = new Map<string, string | undefined>();

/**
 * Returns the first of the directories whose access control list lets others write. Where there is a list, the
 * permissions of the group are the most that it grants, to whomever it names (acl(5)); elsewhere no list is read.
 */
function grantedByList(
  directories: readonly GroupWritable[],
  uid: number,
): InsecureParent | undefined {
  const unread = directories.filter(({ state }) => !known.has(state));
  if (unread.length > 0) {
    const lists = listedWriters(unread.map((directory) => directory.path));
    for (const [index, { state, gid }] of unread.entries()) {
      known.set(state, grantOf(lists[index], gid, uid));
    }
  }
  for (const { path: at, state } of directories) {
    const why = known.get(state);
    if (why !== undefined) return { path: at, why };
  }
  return undefined;
}

function grantOf(
  writers: readonly ListedWriter[] | undefined,
  gid: number,
  uid: number,
): string | undefined {
  if (writers === undefined) {
    return `is writable by group ${gid} and perhaps, by an access control list that only the native programs can read, by others`;
  }
  const other = writers.find(({ kind, id }) => id !== 0 && (kind === 'group' || id !== uid));
  return other === undefined
    ? undefined
    : `is writable by ${other.kind === 'user' ? 'uid' : 'gid'} ${other.id}, by its access control list`;
}

const UNMAPPED = 'belongs to a user whom this user namespace does not map';
/** Numbers that user namespaces have at most. */
const ALL_IDS = 2 ** 32 - 1;

/** Returns whether a number stands for all users that the user namespace does not map (user_namespaces(7)). */
function isUnmapped(uid: number): boolean {
  const [overflow, map] = ['sys/kernel/overflowuid', 'self/uid_map'].map(procText);
  if (overflow === undefined || map === undefined || uid !== Number(overflow)) return false;
  const counts = map.split('\n').map((line) => Number(line.trim().split(/\s+/)[2] ?? 0));
  return counts.reduce((sum, count) => sum + count, 0) < ALL_IDS;
}

function procText(name: string): string | undefined {
  try {
    return readFileSync(`/proc/${name}`, 'utf8');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function namesOf(file: string): string[] {
  return file.split('/').filter(Boolean);
}

function ownership({ uid: owner }: Stats, uid: number): string | undefined {
  return owner === 0 || owner === uid ? undefined : `belongs to uid ${owner}`;
}

function insecurity(stat: Stats, uid: number): string | undefined {
  const { gid, mode } = stat;
  const foreign = ownership(stat, uid);
  if (foreign !== undefined) return foreign;
  if ((mode & 0o1000) !== 0) return undefined;
  if ((mode & 0o002) !== 0) return 'is writable by everyone';
  if ((mode & 0o020) === 0) return undefined;
  const other = otherMember(gid, uid);
  return other === undefined ? undefined : `is writable by group ${gid}, with ${other}`;
}

/**
 * Returns a member of a group other than root and the builder, according to /etc/group and /etc/passwd. A group of only
 * the builder, or one without members such as Debian's staff, grants access to no one else.
 */
function otherMember(gid: number, uid: number): string | undefined {
  const users = table('/etc/passwd').map(([name = '', , id, group]) => ({
    name,
    trusted: Number(id) === 0 || Number(id) === uid,
    primary: Number(group) === gid,
  }));
  const trusted = new Set(users.filter((user) => user.trusted).map(({ name }) => name));
  const members = [
    ...users.filter(({ primary }) => primary).map(({ name }) => name),
    ...table('/etc/group')
      .filter(([, , id]) => Number(id) === gid)
      .flatMap(([, , , list = '']) => list.split(',').filter((name) => name !== '')),
  ];
  return members.find((name) => !trusted.has(name));
}

/** Returns the fields of each line of passwd(5) or group(5). */
function table(file: string): string[][] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
