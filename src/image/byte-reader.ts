/** Reads a requested number of bytes at a time from a stream of chunks. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes read so far. */
  offset = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Returns exactly `count` bytes, or fewer at the end of the stream. */
  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.chunks(count)) parts.push(part);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** Yields the next `count` bytes as they arrive, or fewer at the end of the stream. */
  async *chunks(count: number): AsyncGenerator<Buffer> {
    let left = count;
    while (left > 0) {
      if (this.#chunk.length === 0) {
        const next = await this.#chunks.next();
        if (next.done) return;
        this.#chunk = next.value;
        continue;
      }
      const part = this.#chunk.subarray(0, left);
      this.#chunk = this.#chunk.subarray(part.length);
      left -= part.length;
      this.offset += part.length;
      yield part;
    }
  }

  /** Skips bytes; returns how many were skipped. */
  async skip(count: number): Promise<number> {
    let skipped = 0;
    for await (const part of this.chunks(count)) skipped += part.length;
    return skipped;
  }

  /** Ends the stream without reading the rest. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
