import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fromBytes, toBytes } from '../fs/path-bytes.js';

/** Returns the sorted .deb files in a directory; none if it cannot be read. */
export function debsIn(directory: string): string[] {
  try {
    return readdirSync(toBytes(directory), { encoding: 'buffer' })
      .map(fromBytes)
      .filter((name) => name.endsWith('.deb'))
      .sort()
      .map((name) => path.join(directory, name));
  } catch {
    return [];
  }
}

/** Returns whether a directory contains packages rather than a root file system. */
function holdsDebs(directory: string): boolean {
  const isThere = (name: string) =>
    statSync(toBytes(path.join(directory, name)), { throwIfNoEntry: false }) !== undefined;
  return debsIn(directory).length > 0 && !['usr', 'bin', 'lib', 'etc'].some(isThere);
}

/**
 * Returns the package directory that an argument names: `deb:DIR`, or a directory that contains .deb files and no root
 * file system.
 *
 * @returns undefined for other arguments
 */
export function debDirectory(text: string): string | undefined {
  if (text.startsWith('deb:')) return text.slice('deb:'.length);
  return holdsDebs(text) ? text : undefined;
}
