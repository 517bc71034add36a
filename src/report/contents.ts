import { packageOwners } from '../evidence/packages/owners.js';
import { fullVersion, type Package } from '../evidence/packages/package.js';
import type { SourceTree } from '../export/source.js';
import { isTrace } from '../fs/sysroot.js';
import type { Entry } from '../manifest/manifest.js';

/** The package that owns an entry. */
export interface Owner {
  readonly name: string;
  readonly version: string;
  /** An SPDX license expression. */
  readonly license?: string;
}

/** An entry of a root with the facts that reports show. */
export interface Item {
  readonly entry: Entry;
  readonly owner?: Owner;
  /** Bytes that the entry adds: those of a file, once for all of its names. */
  readonly size: number;
  readonly isSetId: boolean;
  /** Has file capabilities. */
  readonly isCapable: boolean;
}

/** What a jail, manifest, image or plan contains. */
export interface Contents {
  /** What it is, as the user named it. */
  readonly title: string;
  /** Sorted by path. */
  readonly items: readonly Item[];
  readonly warnings: readonly string[];
  /** What programs may look for at run time, and how to add it. */
  readonly hints: readonly string[];
}

/**
 * Finds the owner of each entry of a tree.
 *
 * @throws JailbuildError NOT_READABLE
 */
export async function contentsOf(title: string, source: SourceTree): Promise<Contents> {
  const { tree, sysroot, warnings, hints = [] } = source;
  const origins = new Map<Entry, string>();
  for (const entry of tree.entries) {
    const origin = source.originOf(entry);
    const found = origin === undefined ? undefined : sysroot.trace(origin);
    // Directories belong to many packages, and a link to one to none.
    if (origin === undefined || found === undefined || !isTrace(found)) continue;
    if (found.stat.type !== 'directory') origins.set(entry, origin);
  }
  const ownership = await packageOwners(sysroot, [...new Set(origins.values())]);
  const items = tree.entries.map((entry): Item => {
    const owner = ownership.owners.get(origins.get(entry) ?? '');
    return {
      entry,
      ...(owner === undefined ? {} : { owner: ownerOf(owner) }),
      size: entry.type === 'file' && entry.hardlink === undefined ? entry.size : 0,
      isSetId: entry.type === 'file' && (Number.parseInt(entry.mode, 8) & 0o6000) !== 0,
      isCapable: entry.xattrs?.['security.capability'] !== undefined,
    };
  });
  return { title, items, warnings: [...warnings, ...ownership.warnings], hints };
}

function ownerOf(owner: Package): Owner {
  const { name, license } = owner;
  return { name, version: fullVersion(owner), ...(license === undefined ? {} : { license }) };
}

/** The sum of the sizes of all items, in bytes. */
export function totalSize(items: readonly Item[]): number {
  return items.reduce((sum, { size }) => sum + size, 0);
}
