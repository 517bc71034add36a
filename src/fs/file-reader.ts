import { closeSync, fstatSync, readSync } from 'node:fs';
import { JailbuildError, strerror } from '../errors.js';
import type { HeldTree } from './held-tree.js';
import type { FileAttributes } from './survey.js';

/** Maximum number of file parts kept while a file is open, and the maximum size of each, in bytes. */
const MAX_KEPT = 16;

const MAX_KEPT_SIZE = 256 << 10;

/** A regular file open for reading in parts. */
export interface OpenFile {
  /** The path inside its root, for messages. */
  readonly path: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Returns up to `length` bytes from `offset`; fewer at the end of the file. The caller must not modify them.
   *
   * @throws JailbuildError NOT_READABLE
   */
  read(offset: number, length: number): Buffer;
  /**
   * Fills `target` from `offset`; returns the number of bytes, fewer at the end of the file.
   * @throws JailbuildError NOT_READABLE
   */
  readInto(target: Buffer, offset: number): number;
  /** Returns whether this is the file that lstat(2) described, unchanged since. Absent means that it is unknown. */
  isStill?(seen: FileAttributes): boolean;
  close(): void;
}

/** A file held in memory. */
export class BufferReader implements OpenFile {
  readonly path: string;
  readonly size: number;
  readonly #content: Buffer;

  constructor(content: Buffer, inside: string) {
    this.path = inside;
    this.size = content.length;
    this.#content = content;
  }

  read(offset: number, length: number): Buffer {
    return this.#content.subarray(offset, offset + Math.max(0, length));
  }

  readInto(target: Buffer, offset: number): number {
    return this.#content.copy(target, 0, offset);
  }

  close(): void {}
}

/**
 * Reads the start of a file into a buffer, and returns the part that was filled. Costs half as much as a
 * {@link FileReader}: where most files are of no interest, that is what a tree of them costs.
 *
 * @throws JailbuildError NOT_READABLE
 */
export function readStart(tree: HeldTree, path: string, target: Buffer): Buffer {
  try {
    const fd = tree.open(path);
    try {
      // A read at an offset fails for what has become a fifo.
      return target.subarray(0, readSync(fd, target, 0, target.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${path}: ${strerror(error)}`, path);
  }
}

/**
 * Reads parts of one file. Every read is bounded by the file's size when it was opened. Parts already read are cached.
 */
export class FileReader implements OpenFile {
  readonly path: string;
  readonly size: number;
  readonly #fd: number;
  readonly #kept: { readonly offset: number; readonly bytes: Buffer }[] = [];

  /**
   * @param source the file's path in the tree
   * @param inside the name used in messages
   * @throws JailbuildError NOT_READABLE
   */
  constructor(tree: HeldTree, source: string, inside = source) {
    this.path = inside;
    try {
      this.#fd = tree.open(source);
    } catch (error) {
      throw new JailbuildError('NOT_READABLE', `${inside}: ${strerror(error)}`, inside);
    }
    const stat = fstatSync(this.#fd);
    this.size = stat.size;
    if (stat.isFile()) return;
    closeSync(this.#fd);
    throw new JailbuildError('NOT_READABLE', `${inside}: is no longer a regular file`, inside);
  }

  read(offset: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    for (const { offset: start, bytes } of this.#kept) {
      const at = offset - start;
      if (at >= 0 && at + wanted <= bytes.length) return bytes.subarray(at, at + wanted);
    }
    const buffer = Buffer.allocUnsafe(wanted);
    const bytes = buffer.subarray(0, this.readInto(buffer, offset));
    if (bytes.length <= MAX_KEPT_SIZE && this.#kept.length < MAX_KEPT) {
      this.#kept.push({ offset, bytes });
    }
    return bytes;
  }

  readInto(target: Buffer, offset: number): number {
    const wanted = Math.max(0, Math.min(target.length, this.size - offset));
    let done = 0;
    while (done < wanted) {
      const count = this.#readSome(target, done, wanted - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  #readSome(buffer: Buffer, at: number, length: number, offset: number): number {
    try {
      return readSync(this.#fd, buffer, at, length, offset);
    } catch (error) {
      throw new JailbuildError('NOT_READABLE', `${this.path}: ${strerror(error)}`, this.path);
    }
  }

  isStill({ identity, size, mtimeNs, ctimeNs }: FileAttributes): boolean {
    const now = fstatSync(this.#fd, { bigint: true });
    return (
      identity === `${now.dev}:${now.ino}` &&
      size === Number(now.size) &&
      mtimeNs === now.mtimeNs &&
      ctimeNs === now.ctimeNs
    );
  }

  close(): void {
    closeSync(this.#fd);
  }
}
