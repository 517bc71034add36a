import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { FINGERPRINT_NAME } from '../../src/jail/record/state.js';

/**
 * All that can be told of a tree from outside its files, by path: to compare before and after. Without a
 * jail's fingerprint, which the next build that finds its sources settled may add.
 */
export function snapshot(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (file: string): void => {
    const stat = lstatSync(file, { bigint: true });
    const link = stat.isSymbolicLink() ? ` -> ${readlinkSync(file)}` : '';
    // A directory's size and times move with what is staged in it for a while.
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
