import type { Sysroot } from '../../fs/sysroot.js';
import { openDatabases } from './open.js';
import type { Ownership, Package } from './package.js';

/**
 * Returns the packages that own files, from every package database of a sysroot. Runs nothing.
 *
 * @param paths inside the sysroot, without links on the way
 * @throws JailbuildError NOT_READABLE
 */
export async function packageOwners(
  sysroot: Sysroot,
  paths: readonly string[],
): Promise<Ownership> {
  const { databases, warnings } = await openDatabases(sysroot);
  const owners = new Map<string, Package>();
  for (const database of databases) {
    const details = new Map<object, Package>();
    for (const [path, [owner]] of database.ownersOf(paths)) {
      if (owner === undefined) continue;
      const known = details.get(owner) ?? database.detailsOf(owner);
      details.set(owner, known);
      owners.set(path, known);
    }
  }
  return { owners, warnings };
}
