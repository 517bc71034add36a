import type { Sysroot } from '../../fs/sysroot.js';
import { apkOwners } from './apk.js';
import { dpkgOwners } from './dpkg.js';
import type { Ownership, Package } from './package.js';
import { rpmOwners } from './rpm.js';

/**
 * Which packages own files, read from the files of each package database that a sysroot has. Nothing
 * is run.
 *
 * @param paths inside the sysroot, without links on the way
 * @throws JailbuildError NOT_READABLE
 */
export async function packageOwners(
  sysroot: Sysroot,
  paths: readonly string[],
): Promise<Ownership> {
  const owners = new Map<string, Package>();
  const warnings: string[] = [];
  for (const database of [dpkgOwners, apkOwners, rpmOwners]) {
    const found = await database(sysroot, paths);
    for (const [path, owner] of found?.owners ?? []) owners.set(path, owner);
    warnings.push(...(found?.warnings ?? []));
  }
  return { owners, warnings };
}
