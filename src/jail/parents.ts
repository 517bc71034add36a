import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { errnoOf, JailbuildError } from '../errors.js';
import { toBytes } from '../fs/path-bytes.js';
import type { Target } from './target.js';

/**
 * Refuses a jail that others than root and the builder could exchange on the way to it: each
 * directory of its path must belong to one of the two, and be writable by no one else. In a sticky
 * one, as /tmp, others may make entries but not rename or remove those of ours (rename(2)), and an
 * entry that others made is no directory of ours.
 *
 * @throws JailbuildError TARGET_INSECURE naming the directory
 */
export function refuseInsecure({ path, existing }: Target, target: string): void {
  const found = insecureParent(existing);
  if (found === undefined) return;
  const where = found.path === path ? '' : `${found.path} `;
  throw new JailbuildError(
    'TARGET_INSECURE',
    `${target}: ${where}${found.why}, who could turn the build elsewhere; --insecure-parents builds all the same`,
    target,
  );
}

/** The first directory of a real path that others could change, itself included, and why they could. */
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
  if ((mode & 0o002) !== 0) return 'can be written to by everyone';
  if ((mode & 0o020) === 0) return undefined;
  const other = otherMember(gid, uid);
  return other === undefined ? undefined : `can be written to by group ${gid}, with ${other}`;
}

/**
 * A member of a group beside root and the builder, as /etc/group and /etc/passwd have it: a group of
 * the user's own, or one without members such as Debian's staff, lets no one in.
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

/** The fields of each line of passwd(5) or group(5). */
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
