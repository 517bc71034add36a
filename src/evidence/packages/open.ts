import type { Sysroot } from '../../fs/sysroot.js';
import { DpkgDatabase } from './dpkg.js';
import type { PackageDatabase } from './package.js';

/** The package databases of a sysroot that can be read, and a sentence for each one that cannot. */
export interface OpenedDatabases {
  readonly databases: readonly PackageDatabase[];
  readonly warnings: readonly string[];
}

/**
 * Opens each package database that a sysroot has. Nothing is run.
 *
 * @throws JailbuildError NOT_READABLE
 */
export async function openDatabases(sysroot: Sysroot): Promise<OpenedDatabases> {
  const opened = [DpkgDatabase.open(sysroot), await openApk(sysroot), await openRpm(sysroot)];
  return {
    databases: opened.filter((item) => item !== undefined && typeof item !== 'string'),
    warnings: opened.filter((item) => typeof item === 'string'),
  };
}

/**
 * Opens the package database of a sysroot: the first that can be read.
 *
 * @returns undefined where there is none
 * @throws JailbuildError NOT_READABLE
 */
export async function openPackages(sysroot: Sysroot): Promise<{
  readonly database: PackageDatabase | undefined;
  readonly warnings: readonly string[];
}> {
  const dpkg = DpkgDatabase.open(sysroot);
  if (dpkg !== undefined && typeof dpkg !== 'string') return { database: dpkg, warnings: [] };
  const { databases, warnings } = await openDatabases(sysroot);
  return { database: databases[0], warnings };
}

/** The readers of one-file databases load only where there is one. */
async function openApk(sysroot: Sysroot) {
  const { openApkDatabase } = await import('./apk.js');
  return openApkDatabase(sysroot);
}

async function openRpm(sysroot: Sysroot) {
  const { openRpmDatabase } = await import('./rpm.js');
  return openRpmDatabase(sysroot);
}
