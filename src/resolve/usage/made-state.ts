import path from 'node:path';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { unlisted } from './made-configuration.js';

/** A package's own directory of state. */
const STATE = /^\/var\/(games|lib|cache|spool)\/[^/]+$/;
/** A package's own directory of data that can be made again (hier(7)), unlike state of the host. */
const CACHE = /^\/var\/cache\/[^/]+(\/|$)/;
/** Declarations of directories that the start of a system makes (tmpfiles.d(5)). */
const DECLARATION = /^\/(usr\/lib|etc)\/tmpfiles\.d\/[^/]+\.conf$/;
/** Matches a line that makes a directory, and its path without specifiers. */
const DIRECTORY = /^[dDvqQ][-+!=~^$]*\s+"?(\/(?:run|var)\/[^\s"%]+)/gm;
/** The maximum size of a declaration in bytes. */
const MAX_SIZE = 64 << 10;

/**
 * Returns the empty files of state that an installation made in directories of a package, and
 * without which its programs may not start: lists of scores. Files with content are the host's.
 */
export function madeState(
  sysroot: Sysroot,
  owner: InstalledPackage,
  database: PackageDatabase,
): Trace[] {
  const directories = database.filesOf(owner)?.filter((file) => STATE.test(file)) ?? [];
  const paths = directories.flatMap((file) => filesIn(sysroot, file));
  return unlisted(sysroot, paths, database).filter(({ stat }) => stat.size === 0);
}

/**
 * Returns the directories in /run and /var that a package declares for its programs, and that the host has
 * (tmpfiles.d(5)): /run/screen.
 */
export function declaredDirectories(
  sysroot: Sysroot,
  owner: InstalledPackage,
  database: PackageDatabase,
): Trace[] {
  const declarations = database.filesOf(owner)?.filter((file) => DECLARATION.test(file)) ?? [];
  return declarations.flatMap((file) => {
    const found = sysroot.probe.trace(file);
    if (!isTrace(found) || found.stat.type !== 'file' || found.stat.size > MAX_SIZE) return [];
    const paths = [...sysroot.probe.readText(found).matchAll(DIRECTORY)].map(([, at = '']) => at);
    return paths
      .map((at) => sysroot.trace(at))
      .filter(isTrace)
      .filter(({ stat }) => stat.type === 'directory');
  });
}

/**
 * Returns the files that an installation made from data in a package's directory in /var/cache, if they are
 * named by what their names begin with: `words.pwd` and `words.pwi` for `/var/cache/check/words`.
 *
 * @param named absolute paths in a program's data
 * @param isOwn returns whether a package belongs to the program
 */
export function madeCaches(
  sysroot: Sysroot,
  named: readonly string[],
  isOwn: (owner: InstalledPackage) => boolean,
  database: PackageDatabase,
): Trace[] {
  const beginnings = named.filter((name) => CACHE.test(path.posix.dirname(name)));
  const directories = [...new Set(beginnings.map((name) => path.posix.dirname(name)))];
  const owners = database.ownersOf(directories);
  const own = directories.filter((directory) => owners.get(directory)?.some(isOwn));
  const files = own.flatMap((directory) => filesIn(sysroot, directory));
  return unlisted(
    sysroot,
    files.filter((file) => beginnings.some((name) => file.startsWith(`${name}.`))),
    database,
  );
}

/** Returns the paths of what is in a directory. */
function filesIn(sysroot: Sysroot, directory: string): string[] {
  const found = sysroot.probe.trace(directory);
  if (!isTrace(found) || found.stat.type !== 'directory') return [];
  return sysroot.probe.list(found).map((name) => `${found.path}/${name}`);
}
