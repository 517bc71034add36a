import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';

/** Accounts, names and disks of the host: packages change these files and do not own them. */
const OF_HOST =
  /^\/etc\/(passwd|group|shadow|gshadow|hosts|hostname|resolv\.conf|nsswitch\.conf|fstab|shells|environment|machine-id|localtime|timezone)-?$/;
/** Matches a path of configuration in a script. */
const CONFIGURATION = /(?<![\w.)}/])\/etc(?:\/[A-Za-z0-9._+-]*[A-Za-z0-9_])+/g;
/** Matches a path of state in a script. */
const STATE = /(?<![\w.)}/])\/var\/(?:games|lib|cache|spool)(?:\/[A-Za-z0-9._+-]*[A-Za-z0-9_])+/g;
/** The maximum size of a file in bytes. */
const MAX_SIZE = 256 << 10;

/**
 * Returns the configuration that the installation of a package made, and which no package lists:
 * /etc/papersize of libpaper.
 */
export function madeConfiguration(
  sysroot: Sysroot,
  owner: InstalledPackage,
  database: PackageDatabase,
): Trace[] {
  return madeFiles(sysroot, owner, database, CONFIGURATION).filter(
    ({ path, stat }) => path.startsWith('/etc/') && !OF_HOST.test(path) && stat.size <= MAX_SIZE,
  );
}

/**
 * Returns the empty files of state that the installation of a package made, and without which a
 * program may not start: lists of scores. Files with content are the host's.
 */
export function madeState(
  sysroot: Sysroot,
  owner: InstalledPackage,
  database: PackageDatabase,
): Trace[] {
  return madeFiles(sysroot, owner, database, STATE).filter(
    ({ path, stat }) => path.startsWith('/var/') && stat.size === 0,
  );
}

/** Returns files that everyone may read and no package lists, named in the script of an installation. */
function madeFiles(
  sysroot: Sysroot,
  owner: InstalledPackage,
  database: PackageDatabase,
  pattern: RegExp,
): Trace[] {
  const named = new Set(database.installationOf(owner).match(pattern) ?? []);
  if (named.size === 0) return [];
  const found = [...named].map((path) => sysroot.probe.trace(path)).filter(isTrace);
  const owned = database.ownersOf(found.map(({ path }) => path));
  return found.filter(
    ({ path, stat }) => stat.type === 'file' && (stat.mode & 0o004) !== 0 && !owned.has(path),
  );
}
