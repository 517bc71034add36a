import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import type { PackageDatabase } from '../packages/package.js';
import { readTrace } from './trace-json.js';

/**
 * Returns the names of the packages that own what runs opened or executed.
 *
 * @param files paths of traces
 * @throws JailbuildError NOT_READABLE, TRACE_INVALID
 */
export function packagesUsed(
  files: readonly string[],
  sysroot: Sysroot,
  database: PackageDatabase,
): string[] {
  const used = files
    .flatMap((file) => readTrace(file).files)
    .filter(({ state, type }) => state === 'found' && type !== 'directory')
    .flatMap(({ path }) => {
      const found = sysroot.trace(path);
      return isTrace(found) && found.stat.type === 'file' ? [found.path] : [];
    });
  const owners = [...database.ownersOf([...new Set(used)]).values()].flat();
  return [
    ...new Set(owners.filter(({ isEssential }) => !isEssential).map(({ name }) => name)),
  ].sort();
}
