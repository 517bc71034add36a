import { closeSync } from 'node:fs';
import type { OutputFile } from './output-file.js';
import { writeFailed, writeTo } from './write-failed.js';

/** An output that is written directly. */
export class StreamOutput implements OutputFile {
  size = 0;
  readonly isDraft = false;
  readonly #fd: number;
  readonly #name: string;
  #isOurs: boolean;

  /** @param isOurs whether `discard` and `commit` close the descriptor */
  constructor(fd: number, name: string, isOurs: boolean) {
    this.#fd = fd;
    this.#name = name;
    this.#isOurs = isOurs;
  }

  get isTerminal(): Promise<boolean> {
    return import('node:tty').then(({ isatty }) => isatty(this.#fd));
  }

  async append(...chunks: readonly Uint8Array[]): Promise<void> {
    this.size += await writeTo(this.#fd, chunks, this.#name);
  }

  appendSync(): void {
    throw new Error('a stream may have to wait for its reader');
  }

  fill(): Promise<never> {
    return Promise.reject(new Error('a stream has no start'));
  }

  patch(): void {
    throw new Error('a stream cannot be patched');
  }

  commit(): void {
    if (!this.#isOurs) return;
    this.#isOurs = false;
    try {
      closeSync(this.#fd);
    } catch (error) {
      throw writeFailed(this.#name, error);
    }
  }

  discard(): void {
    if (this.#isOurs) closeSync(this.#fd);
    this.#isOurs = false;
  }
}
