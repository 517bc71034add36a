import { closeSync, readFileSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import type { FileTree } from './file-tree.js';

/**
 * Returns the names of an image's user that the image does not have. An engine looks `USER[:GROUP]` up in
 * passwd(5) and group(5) of the image, and fails without a match. Numbers need no match.
 */
export function unknownNames(tree: FileTree, user: string): string[] {
  const [name = '', group] = user.split(':');
  return [
    ...(isKnown(tree, '/etc/passwd', name) ? [] : [`user ${name}`]),
    ...(group === undefined || isKnown(tree, '/etc/group', group) ? [] : [`group ${group}`]),
  ];
}

function isKnown({ entries, sourceRoot }: FileTree, path: string, name: string): boolean {
  if (/^\d+$/.test(name)) return true;
  const entry = entries.find((candidate) => candidate.path === path);
  if (entry?.type !== 'file') return false;
  return contentOf(entry, sourceRoot)
    .split('\n')
    .some((line) => line.startsWith(`${name}:`));
}

function contentOf(
  { content, source }: { readonly content?: string; readonly source?: string },
  sourceRoot: string,
): string {
  if (source === undefined) return Buffer.from(content ?? '', 'base64').toString();
  try {
    const fd = new HeldTree(sourceRoot).open(source);
    try {
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // The export reports it when it reads the file.
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}
