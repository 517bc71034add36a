import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  writev as writevCallback,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, JailbuildError, strerror } from '../errors.js';

const writev = promisify(writevCallback);
const STDOUT = 1;
/** How long to wait for the reader of a full non-blocking pipe, in milliseconds. */
const FULL_PIPE_PAUSE = 5;

/** A file that appears whole, by one rename(2), or not at all. */
export class DraftFile {
  /** Bytes written so far. */
  size = 0;
  readonly #fd: number;
  readonly #draft: string;
  /** What messages call it. */
  readonly #name: string;

  private constructor(fd: number, draft: string, name: string) {
    this.#fd = fd;
    this.#draft = draft;
    this.#name = name;
  }

  /**
   * @param file where it will be; its directory must exist
   * @throws JailbuildError WRITE_FAILED
   */
  static create(file: string): DraftFile {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
      throw new JailbuildError('WRITE_FAILED', `${file}: is a directory`, file);
    }
    const draft = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
    try {
      return new DraftFile(openSync(draft, 'wx+', 0o644), draft, file);
    } catch (error) {
      throw writeFailed(file, error);
    }
  }

  async append(...chunks: readonly Uint8Array[]): Promise<void> {
    this.size += await writeAll(this.#fd, chunks, this.#name);
  }

  /** Replaces what was written at an offset before. */
  patch(offset: number, bytes: Uint8Array): void {
    try {
      writeSync(this.#fd, bytes, 0, bytes.length, offset);
    } catch (error) {
      throw writeFailed(this.#name, error);
    }
  }

  commit(to: string): void {
    closeSync(this.#fd);
    try {
      renameSync(this.#draft, to);
    } catch (error) {
      rmSync(this.#draft, { force: true });
      throw writeFailed(to, error);
    }
  }

  discard(): void {
    try {
      closeSync(this.#fd);
    } catch {
      // It was closed by a commit that failed.
    }
    rmSync(this.#draft, { force: true });
  }
}

/** A directory that appears whole, by one rename(2), or not at all. */
export class DraftDirectory {
  readonly path: string;
  readonly #target: string;

  /** @throws JailbuildError WRITE_FAILED */
  constructor(target: string) {
    this.#target = target;
    this.path = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.tmp`);
    try {
      mkdirSync(this.path);
    } catch (error) {
      throw writeFailed(target, error);
    }
  }

  commit(): void {
    try {
      renameSync(this.path, this.#target);
    } catch (error) {
      throw writeFailed(this.#target, error);
    }
  }

  discard(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A directory for what must be at hand before it can be sent, removed by the caller. */
export function scratchDirectory(): string {
  return mkdtempSync(path.join(tmpdir(), 'jailbuild-export-'));
}

/** @throws JailbuildError WRITE_FAILED, also when the reader of a pipe is gone */
export async function writeToStdout(...chunks: readonly Uint8Array[]): Promise<void> {
  await writeAll(STDOUT, chunks, 'standard output');
}

/** Returns the number of bytes. */
async function writeAll(fd: number, chunks: readonly Uint8Array[], name: string): Promise<number> {
  let left = chunks.filter(({ length }) => length > 0);
  let size = 0;
  while (left.length > 0) {
    try {
      const { bytesWritten } = await writev(fd, left);
      size += bytesWritten;
      left = without(left, bytesWritten);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw writeFailed(name, error);
      await new Promise((resolve) => setTimeout(resolve, FULL_PIPE_PAUSE));
    }
  }
  return size;
}

/** What follows the first bytes. */
function without(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let skipped = count;
  return chunks.flatMap((chunk) => {
    const rest = chunk.subarray(skipped);
    skipped -= chunk.length - rest.length;
    return rest.length === 0 ? [] : rest;
  });
}

export function writeFailed(name: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error;
  return new JailbuildError('WRITE_FAILED', `${name}: ${strerror(error)}`, name);
}
