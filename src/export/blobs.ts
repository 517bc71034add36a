import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { DraftFile, writeFailed } from './draft.js';
import { tarHeader, tarPadding } from './tar.js';

/** A ustar header without extensions. */
const ROOM = 512;

/** The digest and size of stored bytes, as image manifests name them (OCI image spec, descriptor.md). */
export interface Blob {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** Where the parts of an image go: each under a name that may come from its own digest. */
export interface BlobStore {
  /** @param nameOf the path inside the store */
  put(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    nameOf: (digest: string) => string,
  ): Promise<Blob>;
}

/** `blobs/sha256/HEX` (OCI image spec, image-layout.md). */
export function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Blobs as files in a directory. One that is there already is left alone. */
export class BlobDirectory implements BlobStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    nameOf: (digest: string) => string,
  ): Promise<Blob> {
    const draft = DraftFile.create(path.join(this.#root, 'incoming'));
    try {
      const blob = await copy(chunks, (chunk) => draft.append(chunk));
      const file = path.join(this.#root, nameOf(blob.digest));
      if (existsSync(file)) {
        draft.discard();
        return blob;
      }
      try {
        mkdirSync(path.dirname(file), { recursive: true });
      } catch (error) {
        throw writeFailed(file, error);
      }
      draft.commit(file);
      return blob;
    } catch (error) {
      draft.discard();
      throw error;
    }
  }
}

/**
 * Blobs as members of a tar archive. A member's header, which has its digest and size, is written
 * when they are known, in the room left for it.
 */
export class BlobArchive implements BlobStore {
  readonly #draft: DraftFile;
  readonly #mtime: bigint;

  /** @param mtime of all members, in nanoseconds since the epoch */
  constructor(draft: DraftFile, mtime: bigint) {
    this.#draft = draft;
    this.#mtime = mtime;
  }

  async put(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    nameOf: (digest: string) => string,
  ): Promise<Blob> {
    const start = this.#draft.size;
    await this.#draft.append(Buffer.alloc(ROOM));
    const blob = await copy(chunks, (chunk) => this.#draft.append(chunk));
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

async function copy(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  write: (chunk: Buffer) => Promise<void>,
): Promise<Blob> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
    await write(chunk);
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}
