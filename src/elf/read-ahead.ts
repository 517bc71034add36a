import type { ByteSource } from './types.js';

/**
 * The start of a file, where linkers put headers, notes, symbols, their names and versions; in
 * bytes.
 */
const FIRST_WINDOW = 16 << 10;
/** The dynamic section, and the section headers that follow it in a small file; in bytes. */
const WINDOW = 4 << 10;
const WINDOWS = 6;

/** An open file that can fill a given buffer, such as a `FileReader`. */
export interface FillingSource extends ByteSource {
  /** Fills `target` from `offset`; returns the number of bytes, fewer at the end of the file. */
  readInto(target: Buffer, offset: number): number;
}

interface Window {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * Reads more than requested, since data that is parsed together is adjacent, into one buffer for
 * all files: the bytes of a file are valid until the next file is read.
 */
export class ReadAhead {
  #scratch: Buffer | undefined;

  /** Returns a source that reads an open file in windows. */
  of(file: FillingSource): ByteSource {
    this.#scratch ??= Buffer.allocUnsafeSlow(FIRST_WINDOW + WINDOWS * WINDOW);
    return new WindowedSource(file, this.#scratch);
  }
}

class WindowedSource implements ByteSource {
  readonly path: string;
  readonly size: number;
  readonly #file: FillingSource;
  readonly #scratch: Buffer;
  readonly #windows: Window[] = [];
  #used = 0;

  constructor(file: FillingSource, scratch: Buffer) {
    this.path = file.path;
    this.size = file.size;
    this.#file = file;
    this.#scratch = scratch;
  }

  read(offset: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    for (const { offset: start, bytes } of this.#windows) {
      const at = offset - start;
      if (at >= 0 && at + wanted <= bytes.length) return bytes.subarray(at, at + wanted);
    }
    const end = this.#used + (this.#used === 0 ? FIRST_WINDOW : WINDOW);
    if (wanted > end - this.#used || end > this.#scratch.length) {
      return this.#file.read(offset, length);
    }
    const target = this.#scratch.subarray(this.#used, end);
    const bytes = target.subarray(0, this.#file.readInto(target, offset));
    this.#windows.push({ offset, bytes });
    this.#used = end;
    return bytes.subarray(0, wanted);
  }
}
