import { packageOwners } from '../evidence/packages/owners.js';
import { fullVersion, type Package } from '../evidence/packages/package.js';
import type { SourceTree } from '../export/source.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { Advice } from '../manifest/advice.js';
import type { Entry, MissingLibrary } from '../manifest/manifest.js';
import type { UnusedFiles } from '../manifest/unused-files.js';

/** The version of a package that owned a file when it was copied and has since been upgraded. */
export const UNKNOWN_VERSION = 'unknown';

/** The package that owns an entry. */
export interface Owner {
  readonly name: string;
  /** UNKNOWN_VERSION if the file came from a version that is no longer installed. */
  readonly version: string;
  /** An SPDX license expression. */
  readonly license?: string;
}

/** An entry of a root with the facts that reports show. */
export interface Item {
  readonly entry: Entry;
  readonly owner?: Owner;
  /** The size in bytes that the entry adds: hard links count once. */
  readonly size: number;
  readonly isSetId: boolean;
  /** Whether the file has file capabilities. */
  readonly isCapable: boolean;
  /** Whether no observed run used the file. */
  readonly isUnused: boolean;
}

/** The contents of a jail, manifest, image or plan. */
export interface Contents {
  /** The root's name, as the user specified it. */
  readonly title: string;
  /** Sorted by path. */
  readonly items: readonly Item[];
  readonly warnings: readonly string[];
  /** Files that programs may open at run time, and how to add them. */
  readonly hints: readonly string[];
  /** What the programs may lack, the likeliest first. */
  readonly advice: readonly Advice[];
  /** Libraries that programs need and that were not found. */
  readonly missing: readonly MissingLibrary[];
  /** The files that observed runs did not use, if known. */
  readonly unused?: UnusedFiles;
  /**
   * The real path that the `source` of entries is relative to, to read their content; '' for `/`.
   */
  readonly sourceRoot: string;
}

/**
 * Finds the owner of each entry of a tree.
 *
 * @param unused the files that observed runs did not use; entries that no longer exist are ignored
 * @throws JailbuildError NOT_READABLE
 */
export async function contentsOf(
  title: string,
  source: SourceTree,
  unused?: UnusedFiles,
): Promise<Contents> {
  const { tree, sysroot, warnings, hints = [], advice = [], missing = [] } = source;
  const current = new Map<Entry, string>();
  const earlier = new Map<Entry, string>();
  for (const entry of tree.entries) {
    // Directories belong to many packages, and links to directories to none.
    const origin = filePath(sysroot, source.originOf(entry));
    const recorded = origin ?? filePath(sysroot, source.recordedOriginOf?.(entry));
    if (recorded !== undefined) (origin === undefined ? earlier : current).set(entry, recorded);
  }
  const paths = new Set([...current.values(), ...earlier.values()]);
  const { owners, warnings: unread } = await packageOwners(sysroot, [...paths]);
  const ownerOf = (entry: Entry): Owner | undefined => {
    const now = owners.get(current.get(entry) ?? '');
    if (now !== undefined) return installed(now);
    const then = owners.get(earlier.get(entry) ?? '');
    return then === undefined ? undefined : { name: then.name, version: UNKNOWN_VERSION };
  };
  const unusedPaths = new Set(unused?.groups.flatMap(({ paths: list }) => list));
  const items = tree.entries.map((entry): Item => {
    const owner = ownerOf(entry);
    return {
      entry,
      ...(owner === undefined ? {} : { owner }),
      size: entry.type === 'file' && entry.hardlink === undefined ? entry.size : 0,
      isSetId: entry.type === 'file' && (Number.parseInt(entry.mode, 8) & 0o6000) !== 0,
      isCapable: entry.xattrs?.['security.capability'] !== undefined,
      isUnused: unusedPaths.has(entry.path),
    };
  });
  const { sourceRoot } = tree;
  return {
    title,
    items,
    warnings: [...warnings, ...unread],
    hints,
    advice,
    missing,
    ...(unused === undefined ? {} : { unused }),
    sourceRoot,
  };
}

/** Returns the path of an origin, unless it does not exist or is a directory. */
function filePath(sysroot: Sysroot, origin: string | undefined): string | undefined {
  if (origin === undefined) return undefined;
  const found = sysroot.trace(origin);
  return isTrace(found) && found.stat.type !== 'directory' ? origin : undefined;
}

function installed(owner: Package): Owner {
  const { name, license } = owner;
  return { name, version: fullVersion(owner), ...(license === undefined ? {} : { license }) };
}

/** Returns the total size of all items in bytes. */
export function totalSize(items: readonly Item[]): number {
  return items.reduce((sum, { size }) => sum + size, 0);
}
