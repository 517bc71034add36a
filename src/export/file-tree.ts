import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import { type Piece, type SparseFiles, zeros } from '../fs/sparse-files.js';
import type { Entry, FileEntry } from '../manifest/manifest.js';
import type { WorkMeter } from '../manifest/work.js';

/** The content of an archive: the entries of a plan, and where to read them. */
export interface FileTree {
  /** Sorted by the bytes of `path`, parents first, as in a manifest. */
  readonly entries: readonly Entry[];
  /** The real path that `source` starts from; '' for `/`. */
  readonly sourceRoot: string;
  /** Returns the holes of sources, which are not read. */
  readonly sparse?: SparseFiles | undefined;
}

/** Bytes that pass through the exporter at once. Compressed images depend on it: see gzip.ts. */
export const CHUNK_SIZE = 1 << 20;

/**
 * How many chunks there are, to be filled in turn: new memory for each would cost more than the copy.
 * It is more than compressors have in hand.
 */
export const CHUNKS_IN_TURN = 16;

/** Bytes to read at once: they are still in the processor's cache when they are digested. */
const PIECE = 1 << 17;

/** How chunks are made. */
export interface Packing {
  /**
   * The number of chunks; 1 for who is done with each before the next, which then stays in the processor's cache. The
   * default is {@link CHUNKS_IN_TURN}.
   */
  readonly inTurn?: number;
  /** Digests all bytes. */
  readonly hash?: Hash;
}

/**
 * Gathers bytes into chunks of CHUNK_SIZE; only the last may be shorter. A chunk stays valid until as many have been
 * returned as there are in turn.
 */
export class Chunks {
  /** Bytes taken so far. */
  offset = 0;
  readonly #turn: Buffer[] = [];
  #number = 0;
  #filled = 0;
  readonly #tree: HeldTree;
  readonly #sparse: SparseFiles | undefined;
  readonly #meter: WorkMeter | undefined;
  readonly #inTurn: number;
  readonly #hash: Hash | undefined;

  /**
   * @param of where content lies
   * @param meter counts the content
   */
  constructor(
    { sourceRoot, sparse }: Omit<FileTree, 'entries'>,
    meter?: WorkMeter,
    { inTurn = CHUNKS_IN_TURN, hash }: Packing = {},
  ) {
    this.#inTurn = inTurn;
    this.#hash = hash;
    this.#tree = new HeldTree(sourceRoot);
    this.#sparse = sparse;
    this.#meter = meter;
  }

  get #chunk(): Buffer {
    this.#turn[this.#number] ??= Buffer.allocUnsafeSlow(CHUNK_SIZE);
    return this.#turn[this.#number] as Buffer;
  }

  *bytes(bytes: Uint8Array): Generator<Buffer> {
    let done = 0;
    while (done < bytes.length) {
      const part = bytes.subarray(done, done + CHUNK_SIZE - this.#filled);
      this.#chunk.set(part, this.#filled);
      done += part.length;
      yield* this.#took(part.length);
    }
  }

  /** Adds zero bytes up to a multiple of `alignment`. */
  *pad(alignment: number): Generator<Buffer> {
    const rest = this.offset % alignment;
    if (rest !== 0) yield* this.bytes(Buffer.alloc(alignment - rest));
  }

  /**
   * The content of a file, exactly as many bytes as its entry says, and of the digest that it may say. A file that is
   * written to meanwhile would be partly its old and partly its new content.
   *
   * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED
   */
  *content(entry: FileEntry): Generator<Buffer> {
    const { source, content = '', size } = entry;
    if (source === undefined) {
      yield* this.bytes(Buffer.from(content, 'base64'));
      this.#meter?.add(size, 1);
      return;
    }
    const hash = entry.digest === undefined ? undefined : createHash('sha256');
    const fd = open(this.#tree, source);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size !== size) throw changed(source);
      if (this.#sparse?.has(source)) {
        yield* this.#pieces(fd, source, this.#sparse, hash);
      } else {
        yield* this.#data(fd, { at: 0, length: size }, source, hash);
      }
      this.#meter?.add(0, 1);
      const digest = hash === undefined ? undefined : `sha256:${hash.digest('hex')}`;
      if (digest !== entry.digest) throw changed(source);
      const after = fstatSync(fd);
      if (after.size !== size || after.mtimeMs !== stat.mtimeMs) throw changed(source);
    } finally {
      closeSync(fd);
    }
  }

  *#pieces(fd: number, source: string, sparse: SparseFiles, hash?: Hash): Generator<Buffer> {
    const before = fstatSync(fd, { bigint: true });
    for (const piece of sparse.pieces(source, before)) {
      if (piece.isHole) yield* this.#hole(piece.length, hash);
      else yield* this.#data(fd, piece, source, hash);
    }
  }

  *#data(
    fd: number,
    { at, length }: Pick<Piece, 'at' | 'length'>,
    source: string,
    hash?: Hash,
  ): Generator<Buffer> {
    for (let done = 0; done < length; ) {
      const room = Math.min(length - done, CHUNK_SIZE - this.#filled, PIECE);
      const count = read(
        fd,
        this.#chunk,
        { offset: this.#filled, length: room, at: at + done },
        source,
      );
      if (count === 0) throw changed(source);
      done += count;
      hash?.update(this.#chunk.subarray(this.#filled, this.#filled + count));
      this.#meter?.add(count);
      yield* this.#took(count);
    }
  }

  /** Yields `zeros()` itself for a chunk of zeros. */
  *#hole(length: number, hash?: Hash): Generator<Buffer> {
    for (let left = length; left > 0; ) {
      const count = Math.min(left, CHUNK_SIZE - this.#filled);
      left -= count;
      hash?.update(zeros().subarray(0, count));
      this.#meter?.add(count);
      if (count === CHUNK_SIZE) {
        this.#hash?.update(zeros());
        this.offset += count;
        yield zeros();
        continue;
      }
      this.#chunk.fill(0, this.#filled, this.#filled + count);
      yield* this.#took(count);
    }
  }

  /** What is left. */
  *end(): Generator<Buffer> {
    if (this.#filled > 0) yield this.#chunk.subarray(0, this.#filled);
    this.#filled = 0;
    this.#tree.close();
  }

  *#took(count: number): Generator<Buffer> {
    this.#hash?.update(this.#chunk.subarray(this.#filled, this.#filled + count));
    this.offset += count;
    this.#filled += count;
    if (this.#filled < CHUNK_SIZE) return;
    yield this.#chunk;
    this.#number = (this.#number + 1) % this.#inTurn;
    this.#filled = 0;
  }
}

/** Refuses links: a plan names files by paths without links, so a link means that the source changed. */
function open(tree: HeldTree, source: string): number {
  try {
    return tree.open(source);
  } catch (error) {
    const errno = errnoOf(error);
    throw errno === 'ELOOP' || errno === 'ENOTDIR' ? changed(source) : notReadable(source, error);
  }
}

function read(
  fd: number,
  buffer: Buffer,
  { offset, length, at }: { readonly offset: number; readonly length: number; readonly at: number },
  source: string,
): number {
  try {
    return readSync(fd, buffer, offset, length, at);
  } catch (error) {
    throw notReadable(source, error);
  }
}

/** Returns the error for a source that cannot be read, from a system error. */
export function notReadable(source: string, error: unknown): JailbuildError {
  return new JailbuildError('NOT_READABLE', `${source}: ${strerror(error)}`, source);
}

/** Returns the error for a source that is not as planned. */
export function changed(source: string): JailbuildError {
  return new JailbuildError(
    'SOURCE_CHANGED',
    `${source}: changed since it was planned: export again`,
    source,
  );
}
