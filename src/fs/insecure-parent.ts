import { lstatSync, readFileSync, type Stats } from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../errors.js';
import { readLink, toBytes } from './path-bytes.js';

/** Maximum number of links on the way to a file: MAXSYMLINKS of the kernel (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Returns the first directory or link on an absolute path, itself and what links lead to included, that others could
 * change, and why they could.
 */
export function insecureParent(existing: string): InsecureParent | undefined {
  return parentsOf(existing).insecure;
}

/** A directory or link on a path that others could change, and why they could. */
export interface InsecureParent {
  readonly path: string;
  readonly why: string;
}

/**
 * Returns the same, and the directories that a group without other members may write to. Where such a directory has an
 * access control list, these permissions are the most that the list grants (acl(5)), to whomever it names.
 */
export function parentsOf(existing: string): {
  readonly insecure: InsecureParent | undefined;
  readonly groupWritable: readonly string[];
} {
  const groupWritable: string[] = [];
  const uid = process.geteuid?.() ?? 0;
  const waiting = namesOf(existing);
  let directory = '/';
  let links = 0;
  for (let name: string | undefined = '.'; name !== undefined; name = waiting.shift()) {
    const at = path.join(directory, name);
    const stat = lstatSync(toBytes(at));
    const isLink = stat.isSymbolicLink();
    const why = isLink ? ownership(stat, uid) : insecurity(stat, uid);
    if (why !== undefined) return { insecure: { path: at, why }, groupWritable };
    if (!isLink) {
      if ((stat.mode & 0o1020) === 0o020) groupWritable.push(at);
      directory = at;
      continue;
    }
    if (++links > MAX_LINKS) {
      return { insecure: { path: at, why: 'leads through too many links' }, groupWritable };
    }
    const target = readLink(at);
    if (target.startsWith('/')) directory = '/';
    waiting.unshift(...namesOf(target));
  }
  return { insecure: undefined, groupWritable };
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
