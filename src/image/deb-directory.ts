import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fromBytes, toBytes } from '../fs/path-bytes.js';

/** Returns the .deb files that lie in a directory, sorted; none if it cannot be read. */
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

/** Whether a directory holds packages rather than a root. */
function holdsDebs(directory: string): boolean {
  const isThere = (name: string) =>
    statSync(toBytes(path.join(directory, name)), { throwIfNoEntry: false }) !== undefined;
  return debsIn(directory).length > 0 && !['usr', 'bin', 'lib', 'etc'].some(isThere);
}

/**
 * The directory of packages that a word names: `deb:DIR`, or a directory that holds .deb files and no root.
 *
 * @returns undefined for other words
 */
export function debDirectory(text: string): string | undefined {
  if (text.startsWith('deb:')) return text.slice('deb:'.length);
  return holdsDebs(text) ? text : undefined;
}
