import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';

/** A user by number. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Set if the user was given by name. */
  readonly home?: string;
}

/**
 * Looks up a user in a root's passwd and group files, as the launcher does (passwd.c).
 *
 * @param user NAME or UID, and :GROUP or :GID; default: root
 * @throws JailbuildError USAGE
 */
export function identityOf(sysroot: Sysroot, user: string | undefined): Identity {
  if (user === undefined) return { uid: 0, gid: 0 };
  const [name = '', group] = user.split(':', 2);
  const isNumber = /^\d+$/.test(name);
  const entry = lineOf(sysroot, '/etc/passwd', isNumber ? 2 : 0, name);
  if (entry === undefined && !isNumber) refuse(user, 'no such user in /etc/passwd of the jail');
  const uid = Number(entry?.[2] ?? name);
  const gid =
    group === undefined
      ? Number(entry?.[3] ?? name)
      : Number(/^\d+$/.test(group) ? group : lineOf(sysroot, '/etc/group', 0, group)?.[2]);
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(gid))
    refuse(user, 'no such group in /etc/group of the jail');
  return { uid, gid, home: entry?.[5]?.startsWith('/') ? entry[5] : '/' };
}

function lineOf(
  sysroot: Sysroot,
  file: string,
  field: number,
  value: string,
): readonly string[] | undefined {
  const found = sysroot.trace(file);
  if (!isTrace(found) || found.stat.type !== 'file') return undefined;
  const lines = sysroot.readText(found).split('\n');
  return lines.map((line) => line.split(':')).find((fields) => fields[field] === value);
}

function refuse(user: string, why: string): never {
  throw new JailbuildError('USAGE', `--user ${user}: ${why}`);
}
