import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { draftFile } from '../fs/draft.js';
import type { OutputFile } from '../fs/output-file.js';
import { writeFailed } from '../fs/write-failed.js';
import { CHUNKS_IN_TURN } from './file-tree.js';
import { tarHeader, tarPadding } from './tar.js';

/** The last second that a tar header without extensions has room for, in nanoseconds: March 2242. */
const LAST_TIME = (8n ** 11n - 1n) * 1_000_000_000n;

/** Bytes of a tar header without extensions. */
const ROOM = 512;

/** Bytes to write at once: a thread does it, and waking it for less costs more than the writing. */
const WRITE_SIZE = 4 << 20;
/** Chunks to write at once: while they are written, as many others are filled. */
const MOST_GATHERED = CHUNKS_IN_TURN / 2;

/** The digest and size of stored bytes, as image manifests name them (OCI image spec, descriptor.md). */
export interface Blob {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** A store for the parts of an image, named by digest. */
export interface BlobStore {
  /** @param nameOf the path inside the store */
  put(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    nameOf: (digest: string) => string,
  ): Promise<Blob>;
}

/** The directory of an image layout in which all blobs are. */
export const BLOBS = 'blobs/sha256';

/** `blobs/sha256/HEX` (OCI image spec, image-layout.md). */
export function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Stores blobs as files in a directory. Existing blobs are kept. */
export class BlobDirectory implements BlobStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    nameOf: (digest: string) => string,
  ): Promise<Blob> {
    const draft = draftFile(path.join(this.#root, 'incoming'));
    try {
      const blob = await writeBlob(chunks, (...some) => draft.append(...some));
      const file = path.join(this.#root, nameOf(blob.digest));
      if (existsSync(file)) return blob;
      try {
        mkdirSync(path.dirname(file), { recursive: true });
      } catch (error) {
        throw writeFailed(file, error);
      }
      draft.commit(file);
      return blob;
    } finally {
      draft.discard();
    }
  }
}

/**
 * Stores blobs as members of a tar archive. A member's header, with its digest and size, is written
 * into reserved space when these are known.
 */
export class BlobArchive implements BlobStore {
  readonly #draft: OutputFile;
  readonly #mtime: bigint;

  /** @param mtime of all members, in nanoseconds since the epoch; one that tar has no digits for is moved */
  constructor(draft: OutputFile, mtime: bigint) {
    this.#draft = draft;
    this.#mtime = mtime < 0n ? 0n : mtime > LAST_TIME ? LAST_TIME : mtime;
  }

  async put(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    nameOf: (digest: string) => string,
  ): Promise<Blob> {
    const start = this.#draft.size;
    await this.#draft.append(Buffer.alloc(ROOM));
    const blob = await writeBlob(chunks, (...some) => this.#draft.append(...some));
    const name = nameOf(blob.digest);
    await this.#draft.append(tarPadding(blob.size));
    const header = this.#header(name, blob.size);
    if (header.length > ROOM) {
      throw new JailbuildError('NOT_EXPORTABLE', `${name}: is larger than 8 GiB; split the layers`);
    }
    this.#draft.patch(start, header);
    return blob;
  }

  #header(name: string, size: number): Buffer {
    const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: this.#mtime } as const;
    return tarHeader({ name, type: 'file', size, ...attributes });
  }
}

/**
 * Writes chunks in order, several at a time, while the next ones are made and digested.
 *
 * @param write is called again when it is done
 */
export async function writeBlob(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  write: (...chunks: readonly Buffer[]) => Promise<void>,
): Promise<Blob> {
  const hash = createHash('sha256');
  const size = await writeChunks(chunks, write, (chunk) => hash.update(chunk));
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

/**
 * Writes chunks as {@link writeBlob}, without a digest.
 *
 * @param look is called with each chunk before it is written
 * @returns the number of bytes
 */
export async function writeChunks(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  write: (...chunks: readonly Buffer[]) => Promise<void>,
  look?: (chunk: Buffer) => void,
): Promise<number> {
  let size = 0;
  let gathered: Buffer[] = [];
  let gatheredSize = 0;
  let writing = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = write(...gathered);
    // The next await throws a failure; until then it must not count as unhandled.
    writing.catch(() => {});
    gathered = [];
    gatheredSize = 0;
  };
  try {
    for await (const chunk of chunks) {
      look?.(chunk);
      size += chunk.length;
      gathered.push(chunk);
      gatheredSize += chunk.length;
      if (gatheredSize >= WRITE_SIZE || gathered.length === MOST_GATHERED) await flush();
    }
    await flush();
    await writing;
  } finally {
    await writing.catch(() => {});
  }
  return size;
}
