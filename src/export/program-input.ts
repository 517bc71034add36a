import { Readable } from 'node:stream';

/** Feeds chunks to the standard input of a program and keeps the error of producing them. */
export class ProgramInput {
  /** The error of producing the chunks, if any. */
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
