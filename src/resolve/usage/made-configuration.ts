import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';

/** Accounts, names and disks of the host: packages change these files and do not own them. */
const OF_HOST =
  /^\/etc\/(passwd|group|shadow|gshadow|hosts|hostname|resolv\.conf|nsswitch\.conf|fstab|shells|environment|machine-id|localtime|timezone)-?$/;
/** Matches a path of configuration in a script. */
const CONFIGURATION = /(?<![\w.)}/])\/etc(?:\/[A-Za-z0-9._+-]*[A-Za-z0-9_])+/g;
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
  const named = new Set(database.installationOf(owner).match(CONFIGURATION) ?? []);
  const paths = [...named].filter((path) => !OF_HOST.test(path));
  return unlisted(sysroot, paths, database).filter(
    ({ path, stat }) => path.startsWith('/etc/') && stat.size <= MAX_SIZE,
  );
}

/** Returns the files at these paths that everyone may read and no package lists. */
export function unlisted(
  sysroot: Sysroot,
  paths: readonly string[],
  database: PackageDatabase,
): Trace[] {
  if (paths.length === 0) return [];
  const found = paths.map((path) => sysroot.probe.trace(path)).filter(isTrace);
  const owned = database.ownersOf(found.map(({ path }) => path));
  return found.filter(
    ({ path, stat }) => stat.type === 'file' && (stat.mode & 0o004) !== 0 && !owned.has(path),
  );
}
