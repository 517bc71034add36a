import type { Sysroot } from '../../fs/sysroot.js';
import { DpkgDatabase } from './dpkg.js';
import type { PackageDatabase } from './package.js';

/** The readable package databases of a sysroot, and a sentence for each unreadable one. */
export interface OpenedDatabases {
  readonly databases: readonly PackageDatabase[];
  readonly warnings: readonly string[];
}

/**
 * Opens every package database of a sysroot. Runs nothing.
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
 * Opens the package database of a sysroot: the first readable one.
 *
 * @returns undefined database if there is none
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

/** The readers of one-file databases are loaded only when needed. */
async function openApk(sysroot: Sysroot) {
  const { openApkDatabase } = await import('./apk.js');
  return openApkDatabase(sysroot);
}

async function openRpm(sysroot: Sysroot) {
  const { openRpmDatabase } = await import('./rpm.js');
  return openRpmDatabase(sysroot);
}
