import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { errnoOf } from '../errors.js';
import { toBytes } from './path-bytes.js';

/** Returns the first directory of a real path, itself included, that others could change, and why they could. */
export function insecureParent(
  existing: string,
): { readonly path: string; readonly why: string } | undefined {
  const uid = process.geteuid?.() ?? 0;
  const names = existing === '/' ? [''] : existing.split('/');
  for (let count = 1; count <= names.length; count++) {
    const at = names.slice(0, count).join('/') || '/';
    const why = insecurity(lstatSync(toBytes(at)), uid);
    if (why !== undefined) return { path: at, why };
  }
  return undefined;
}

function insecurity({ uid: owner, gid, mode }: Stats, uid: number): string | undefined {
  if (owner !== 0 && owner !== uid) return `belongs to uid ${owner}`;
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
