import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../errors.js';
import { draftPath, removeAbandoned } from './draft-name.js';
import type { OutputFile } from './output-file.js';
import { toBytes } from './path-bytes.js';
import { isZeros, zeros } from './sparse-files.js';
import { writeFailed, writeTo } from './write-failed.js';

const { O_CREAT, O_EXCL, O_RDWR } = constants;

/** Larger than the room that is left where a program could not write. */
const PROBE = Buffer.alloc(1 << 20, 1);

/** A regular file being written. */
export class Draft implements OutputFile {
  size = 0;
  readonly isDraft = true;
  readonly isTerminal = Promise.resolve(false);
  readonly #fd: number;
  readonly #draft: string;
  readonly #real: string;
  readonly #name: string;
  readonly #isNew: boolean;
  #isOpen = true;
  #endsInHole = false;

  private constructor(fd: number, draft: string, real: string, name: string, isNew: boolean) {
    this.#fd = fd;
    this.#draft = draft;
    this.#real = real;
    this.#name = name;
    this.#isNew = isNew;
  }

  /**
   * @param real the file's path with all links resolved
   * @param name the name used in messages
   * @param like the file that is replaced
   */
  static create(real: string, name: string, like?: BigIntStats, isNew = false): Draft {
    const directory = path.dirname(real);
    removeAbandoned(directory);
    const draft = draftPath(directory);
    const mode = like === undefined ? 0o666 : Number(like.mode & 0o777n);
    const fd = openSync(toBytes(draft), O_RDWR | O_CREAT | O_EXCL, mode);
    if (like !== undefined && !isNew) keepAccess(draft, like);
    return new Draft(fd, draft, real, name, isNew);
  }

  /** Returns the draft's path, for a program that writes it. */
  get path(): string {
    return this.#draft;
  }

  /** Appends chunks; holes in the input become holes in the draft. */
  async append(...chunks: readonly Uint8Array[]): Promise<void> {
    for (let rest = chunks; rest.length > 0; ) {
      const hole = rest.findIndex(isZeros);
      if (hole === 0) {
        this.size += zeros().length;
        this.#endsInHole = true;
        rest = rest.slice(1);
        continue;
      }
      const data = hole < 0 ? rest : rest.slice(0, hole);
      this.size += await writeTo(this.#fd, data, this.#name, this.size);
      this.#endsInHole = false;
      rest = hole < 0 ? [] : rest.slice(hole);
    }
  }

  appendSync(chunk: Uint8Array): void {
    this.#endsInHole = isZeros(chunk);
    try {
      for (let done = 0; done < chunk.length && !this.#endsInHole; ) {
        done += writeSync(this.#fd, chunk, done, chunk.length - done, this.size + done);
      }
    } catch (error) {
      throw writeFailed(this.#name, error);
    }
    this.size += chunk.length;
  }

  async fill<T>(write: (fd: number, path: string) => Promise<T>): Promise<T> {
    try {
      const result = await write(this.#fd, this.#draft);
      this.size = fstatSync(this.#fd).size;
      return result;
    } catch (error) {
      if (errnoOf(error) !== undefined) throw writeFailed(this.#name, error);
      // If the disk is full, this names the file, where the program named itself.
      this.size = fstatSync(this.#fd).size;
      await this.append(PROBE);
      throw error;
    }
  }

  patch(offset: number, bytes: Uint8Array): void {
    try {
      writeSync(this.#fd, bytes, 0, bytes.length, offset);
    } catch (error) {
      throw writeFailed(this.#name, error);
    }
  }

  /** @param to another path on the same file system */
  commit(to = this.#real): void {
    this.#isOpen = false;
    try {
      if (this.#endsInHole) ftruncateSync(this.#fd, this.size);
      closeSync(this.#fd);
      renameSync(toBytes(this.#draft), toBytes(to));
    } catch (error) {
      this.#remove();
      throw writeFailed(this.#name, error);
    }
  }

  discard(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
    this.#remove();
  }

  #remove(): void {
    rmSync(toBytes(this.#draft), { force: true });
    if (this.#isNew) rmSync(toBytes(this.#real), { force: true });
  }
}

/**
 * Opens a new file in a directory that jailbuild made, such as part of an image layout.
 *
 * @param file the destination unless `commit` names another; an existing file is replaced
 * @throws JailbuildError WRITE_FAILED
 */
export function draftFile(file: string): Draft {
  try {
    return Draft.create(file, file);
  } catch (error) {
    throw writeFailed(file, error);
  }
}

/** Gives a draft the owner, where permitted, and then the permission bits of the file that it replaces. */
function keepAccess(draft: string, { uid, gid, mode }: BigIntStats): void {
  try {
    chownSync(toBytes(draft), Number(uid), Number(gid));
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
  }
  chmodSync(toBytes(draft), Number(mode & 0o777n));
}
