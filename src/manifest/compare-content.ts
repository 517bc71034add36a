import { closeSync, fstatSync, readSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import { isCopyOf } from './differences.js';
import { readDigest } from './digest.js';
import type { FileEntry } from './manifest.js';

const CHUNK = 1 << 20;

/** The result of comparing a file's content with its entry. */
export type ContentResult =
  | 'same'
  | 'different'
  /** There is no digest, and the source has changed. */
  | 'unknown';

/** Compares files of a jail with their digests or, without digests, with their sources. */
export class ContentComparer {
  readonly #sources: HeldTree;
  #chunks: readonly [Buffer, Buffer] | undefined;
  /** @param sourceRoot the real path of the sysroot, '' for `/` */
  constructor(sourceRoot: string) {
    this.#sources = new HeldTree(sourceRoot);
  }

  get #buffers(): readonly [Buffer, Buffer] {
    this.#chunks ??= [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
    return this.#chunks;
  }

  /**
   * @param fd the jail's file, open at its start
   * @throws system errors
   */
  compare(fd: number, entry: FileEntry): ContentResult {
    if (entry.content !== undefined) {
      return this.#compareBytes(fd, Buffer.from(entry.content, 'base64'));
    }
    if (entry.digest !== undefined) {
      // Loaded on demand: the main job does not need it.
      const { createHash } = process.getBuiltinModule('node:crypto');
      const digest = readDigest(createHash('sha256'), fd, this.#buffers[0]);
      return digest === entry.digest ? 'same' : 'different';
    }
    const source = this.#openSource(entry);
    if (source === undefined) return 'unknown';
    try {
      return this.#compareFiles(fd, source);
    } finally {
      closeSync(source);
    }
  }

  /** Opens the source, if it is still the file that was copied. */
  #openSource(entry: FileEntry): number | undefined {
    const { source } = entry;
    if (source === undefined) return undefined;
    let fd: number;
    try {
      fd = this.#sources.open(source);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
    const stat = fstatSync(fd, { bigint: true });
    const { size, mtimeNs } = stat;
    if (stat.isFile() && isCopyOf(entry, { size: Number(size), mtimeNs })) return fd;
    closeSync(fd);
    return undefined;
  }

  #compareBytes(fd: number, expected: Buffer): ContentResult {
    const [buffer] = this.#buffers;
    let at = 0;
    for (;;) {
      const count = readSync(fd, buffer, 0, CHUNK, null);
      if (count === 0) return at === expected.length ? 'same' : 'different';
      if (!buffer.subarray(0, count).equals(expected.subarray(at, at + count))) return 'different';
      at += count;
    }
  }

  #compareFiles(a: number, b: number): ContentResult {
    const [first, second] = this.#buffers;
    for (let at = 0; ; ) {
      const count = readSync(a, first, 0, CHUNK, at);
      const other = readSync(b, second, 0, CHUNK, at);
      if (count !== other || first.compare(second, 0, other, 0, count) !== 0) return 'different';
      if (count === 0) return 'same';
      at += count;
    }
  }
}
