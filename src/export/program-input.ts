import { Readable } from 'node:stream';

/** Chunks as the standard input of a program, which keeps what making them throws for the caller. */
export class ProgramInput {
  /** What making the chunks threw; undefined if all were made. */
  error: unknown;
  readonly stream: Readable;

  constructor(chunks: Iterable<Buffer>) {
    this.stream = Readable.from(this.#watched(chunks), { objectMode: false });
  }

  *#watched(chunks: Iterable<Buffer>): Generator<Buffer> {
    try {
      yield* chunks;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}
