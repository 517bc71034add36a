import { HeldTree } from '../../fs/held-tree.js';
import { isSparse, SparseFiles, stampOf } from '../../fs/sparse-files.js';
import type { Entry } from '../../manifest/manifest.js';
import { openNativeEngine } from './open.js';

/** Minimum size in bytes of files that are searched for holes. */
const LEAST = 1 << 20;

/**
 * Finds the data extents of sources with the native engine: Node has no SEEK_DATA (lseek(2)).
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 * @returns undefined without sparse files or the native engine
 */
export async function findSparse(
  entries: readonly Entry[],
  sourceRoot: string,
): Promise<SparseFiles | undefined> {
  const tree = new HeldTree(sourceRoot);
  const stamps = new Map<string, string>();
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.source === undefined || entry.size < LEAST) continue;
    // Unreadable sources are refused where they are read.
    const stat = statOf(tree, entry.source);
    if (stat?.isFile() && isSparse(stat)) stamps.set(entry.source, stampOf(stat));
  }
  tree.close();
  if (stamps.size === 0) return undefined;
  const root = sourceRoot || '/';
  const engine = await openNativeEngine(root, root);
  if (engine === undefined) return undefined;
  try {
    const sources = [...stamps];
    const found = await engine.extents(sources.map(([source]) => source.slice(1)));
    return new SparseFiles(
      new Map(
        sources.flatMap(([source, stamp], index) => {
          const extents = found.get(index);
          return extents === undefined ? [] : [[source, { stamp, extents }] as const];
        }),
      ),
    );
  } finally {
    await engine.close();
  }
}

function statOf(tree: HeldTree, source: string) {
  try {
    return tree.find(source);
  } catch {
    return undefined;
  }
}
