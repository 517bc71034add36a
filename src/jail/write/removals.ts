import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import { HeldTree } from '../../fs/held-tree.js';
import type { Entry } from '../../manifest/manifest.js';
import { timestamp } from '../../manifest/timestamp.js';
import type { Attributes } from '../engine/operations.js';
import { isPrivileged } from './stage.js';
import { look } from './survey.js';

/** An entry of the jail to be removed. */
export interface Removal {
  /** Absolute inside the jail. */
  readonly path: string;
  /** For a directory: the attributes to restore it with. */
  readonly directory: Attributes | undefined;
}

/**
 * Returns the given entries that exist, children before their directory. Follows no symbolic links: entries behind one
 * count as absent.
 *
 * @throws JailbuildError WRITE_FAILED if the jail cannot be read
 */
export function surveyRemovals(entries: readonly Entry[], target: string): Removal[] {
  const tree = new HeldTree(target);
  const isDirectory = new Map([['/', true]]);
  const holds = (directory: string): boolean => {
    const known = isDirectory.get(directory);
    if (known !== undefined) return known;
    const found =
      holds(path.dirname(directory)) && (look(tree, target, directory)?.isDirectory() ?? false);
    isDirectory.set(directory, found);
    return found;
  };
  return entries
    .map((entry) => entry.path)
    .sort((a, b) => (a < b ? 1 : -1))
    .flatMap((at) => {
      const found = holds(path.dirname(at)) ? look(tree, target, at) : undefined;
      if (found === undefined) return [];
      return { path: at, directory: found.isDirectory() ? attributesOf(found) : undefined };
    });
}

/** Returns the attributes with which an entry can be restored. */
export function attributesOf({ mode, uid, gid, mtimeNs }: BigIntStats): Attributes {
  return {
    mode: Number(mode & 0o7777n),
    mtime: timestamp(mtimeNs),
    ...(isPrivileged() ? { owner: { uid: Number(uid), gid: Number(gid) } } : {}),
  };
}
