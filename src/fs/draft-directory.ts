import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../errors.js';
import { draftPath, removeAbandoned } from './draft-name.js';
import { fromBytes, toBytes } from './path-bytes.js';
import { writeFailed } from './write-failed.js';

/** A directory that appears complete, by one rename(2), or not at all. */
export class DraftDirectory {
  readonly path: string;
  readonly #target: string;

  /** @throws JailbuildError WRITE_FAILED */
  constructor(target: string) {
    this.#target = path.resolve(target);
    const directory = path.dirname(this.#target);
    try {
      removeAbandoned(directory);
      this.path = draftPath(directory);
      mkdirSync(toBytes(this.path));
    } catch (error) {
      throw writeFailed(target, error);
    }
  }

  commit(): void {
    try {
      renameSync(toBytes(this.path), toBytes(this.#target));
    } catch (error) {
      throw writeFailed(this.#target, error);
    }
  }

  /**
   * Puts the directory in place, unless one with content has come to be there.
   *
   * @returns whether it is in place
   */
  commitUnlessThere(): boolean {
    try {
      renameSync(toBytes(this.path), toBytes(this.#target));
      return true;
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) return false;
      throw writeFailed(this.#target, error);
    }
  }

  /** Moves the files of an inner directory to where they would be in the target, which is there. */
  moveFiles(inner: string): void {
    const [from, to] = [path.join(this.path, inner), path.join(this.#target, inner)];
    try {
      mkdirSync(toBytes(to), { recursive: true });
      for (const name of readdirSync(toBytes(from), { encoding: 'buffer' }).map(fromBytes)) {
        renameSync(toBytes(path.join(from, name)), toBytes(path.join(to, name)));
      }
    } catch (error) {
      throw writeFailed(this.#target, error);
    }
  }

  /** Returns an error with the name of the directory in place of the draft's, which the user does not know. */
  named(error: unknown): unknown {
    if (!(error instanceof JailbuildError)) return error;
    const { code, message, path: at } = error;
    if (at !== this.path && !at?.startsWith(`${this.path}/`)) return error;
    const inside = this.#target + at.slice(this.path.length);
    return new JailbuildError(code, message.replaceAll(at, this.#target), inside, { cause: error });
  }

  discard(): void {
    rmSync(toBytes(this.path), { recursive: true, force: true });
  }
}
