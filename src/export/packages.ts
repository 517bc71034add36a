import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { Entry } from '../manifest/manifest.js';
import type { ExportOptions } from './options.js';
import type { SourceTree } from './source.js';

/**
 * Finds the package that owns each entry of a tree, for layers by package.
 *
 * @returns the option for `exportTree`, and sentences about databases that cannot be read
 */
export async function entryPackages({
  tree: { entries },
  sysroot,
  originOf,
}: Pick<SourceTree, 'tree' | 'sysroot' | 'originOf'>): Promise<{
  readonly packageOf: NonNullable<ExportOptions['packageOf']>;
  readonly warnings: readonly string[];
}> {
  const { packageOwners } = await import('../evidence/packages/owners.js');
  const origins = originsOf(entries, sysroot, originOf);
  const { owners, warnings } = await packageOwners(sysroot, [...origins.values()]);
  return {
    packageOf({ path }) {
      const owner = owners.get(origins.get(path) ?? '');
      return owner === undefined ? undefined : `${owner.name} ${owner.version}`;
    },
    warnings,
  };
}

/** Links to directories belong to no package: every package with files below lists them. */
function originsOf(
  entries: readonly Entry[],
  sysroot: Sysroot,
  originOf: SourceTree['originOf'],
): ReadonlyMap<string, string> {
  return new Map(
    entries.flatMap((entry): [string, string][] => {
      const origin = originOf(entry);
      const found = origin === undefined ? undefined : sysroot.trace(origin);
      const isOwned = found !== undefined && isTrace(found) && found.stat.type !== 'directory';
      return origin !== undefined && isOwned ? [[entry.path, origin]] : [];
    }),
  );
}
