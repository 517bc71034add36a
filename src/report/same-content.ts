import { closeSync, fstatSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import { ContentComparer } from '../manifest/compare-content.js';
import { isCopyOf } from '../manifest/differences.js';
import type { FileEntry } from '../manifest/manifest.js';
import type { Contents } from './contents.js';

/**
 * Compares the contents of files of two roots: by digests if both have them, otherwise by reading.
 */
export class ContentComparison {
  readonly #before: Root;
  readonly #after: Root;

  constructor(before: Contents, after: Contents) {
    this.#before = new Root(before.sourceRoot);
    this.#after = new Root(after.sourceRoot);
  }

  /**
   * Returns whether two files have the same content.
   *
   * @param before of the same size as `after`
   * @returns undefined if the files no longer exist
   */
  isSame(before: FileEntry, after: FileEntry): boolean | undefined {
    if (before.digest !== undefined && after.digest !== undefined) {
      return before.digest === after.digest;
    }
    if (before.content !== undefined && after.content !== undefined) {
      return before.content === after.content;
    }
    return (
      this.#before.isSameAs(before, this.#after, after) ??
      this.#after.isSameAs(after, this.#before, before)
    );
  }
}

class Root {
  readonly #tree: HeldTree;
  readonly #comparer: ContentComparer;

  constructor(sourceRoot: string) {
    this.#tree = new HeldTree(sourceRoot);
    this.#comparer = new ContentComparer(sourceRoot);
  }

  /**
   * Returns whether a file of this root has the content of another root's entry; undefined if
   * either no longer exists.
   */
  isSameAs(entry: FileEntry, other: Root, expected: FileEntry): boolean | undefined {
    try {
      const fd = this.#open(entry);
      if (fd === undefined) return undefined;
      try {
        const result = other.#comparer.compare(fd, expected);
        return result === 'unknown' ? undefined : result === 'same';
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  }

  /** Opens the source of an entry, if it is unchanged since it was recorded. */
  #open(entry: FileEntry): number | undefined {
    if (entry.source === undefined) return undefined;
    const fd = this.#tree.open(entry.source);
    const stat = fstatSync(fd, { bigint: true });
    const { size, mtimeNs } = stat;
    if (stat.isFile() && isCopyOf(entry, { size: Number(size), mtimeNs })) return fd;
    closeSync(fd);
    return undefined;
  }
}
