import { packageOwners } from '../evidence/packages/owners.js';
import { recordedAttributes } from '../fs/recorded-attributes.js';
import type { Sysroot } from '../fs/sysroot.js';

/** What was left out of an image. */
export interface LeftOut {
  /** Bytes of all files in the image. */
  readonly size: number;
  /** Bytes of the files left out. */
  readonly leftOut: number;
  /** Largest first; files that no package owns have no name. */
  readonly packages: readonly { readonly name?: string; readonly size: number }[];
}

/**
 * Adds up, by package, what was left out.
 *
 * @param kept included paths in the root, without links on the way
 */
export async function leftOutOf(root: Sysroot, kept: ReadonlySet<string>): Promise<LeftOut> {
  const sizes = new Map<string, number>();
  const seen = new Set<string>();
  let size = 0;
  for (const [path, { type }] of recordedAttributes(root.prefix) ?? []) {
    if (type !== 'file') continue;
    const stat = root.statOf(path);
    if (seen.has(stat.identity)) continue;
    seen.add(stat.identity);
    size += stat.size;
    if (!kept.has(path)) sizes.set(path, stat.size);
  }
  const { owners } = await packageOwners(root, [...sizes.keys()]);
  const byName = new Map<string | undefined, number>();
  for (const [path, bytes] of sizes) {
    const name = owners.get(path)?.name;
    byName.set(name, (byName.get(name) ?? 0) + bytes);
  }
  const packages = [...byName]
    .sort(([a = '', some], [b = '', more]) => more - some || (a < b ? -1 : 1))
    .map(([name, bytes]) => (name === undefined ? { size: bytes } : { name, size: bytes }));
  const leftOut = packages.reduce((sum, item) => sum + item.size, 0);
  return { size, leftOut, packages };
}
