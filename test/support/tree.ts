import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { FINGERPRINT_NAME } from '../../src/jail/record/state.js';

/**
 * Returns everything about a tree that is visible without reading files, by path, to compare before
 * and after. Omits a jail's fingerprint, which the next build may add once its sources are old
 * enough.
 */
export function snapshot(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (file: string): void => {
    const stat = lstatSync(file, { bigint: true });
    const link = stat.isSymbolicLink() ? ` -> ${readlinkSync(file)}` : '';
    // The size and times of a directory change while something is staged in it.
    const content = stat.isDirectory() ? '' : ` ${stat.size} ${stat.mtimeNs} ${stat.ino}`;
    found[path.relative(root, file) || '.'] =
      `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}${content}${link}`;
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(file)) {
      if (name !== FINGERPRINT_NAME) visit(path.join(file, name));
    }
  };
  visit(root);
  return found;
}
