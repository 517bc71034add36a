import { writeSync, writev } from 'node:fs';
import { errnoOf } from '../errors.js';

/** How long to wait for the reader of a full non-blocking pipe (write(2), EAGAIN), in milliseconds. */
const FULL_PIPE_PAUSE = 5;

/**
 * Writes all chunks to a descriptor of any kind.
 *
 * @param position offset in a regular file; default: the descriptor's current position
 * @returns the number of bytes
 * @throws system errors
 */
export async function writeAll(
  fd: number,
  chunks: readonly Uint8Array[],
  position?: number,
): Promise<number> {
  let left = chunks.filter(({ length }) => length > 0);
  let size = 0;
  while (left.length > 0) {
    try {
      const written = await writeSome(fd, left, position === undefined ? null : position + size);
      size += written;
      left = without(left, written);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, FULL_PIPE_PAUSE));
    }
  }
  return size;
}

/**
 * Writes all bytes to a descriptor of any kind.
 *
 * @throws system errors
 */
export function writeAllSync(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE);
    }
  }
}

function writeSome(
  fd: number,
  chunks: readonly Uint8Array[],
  position: number | null,
): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, chunks, position, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

/** Returns what remains after the first bytes. */
function without(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let skipped = count;
  return chunks.flatMap((chunk) => {
    const rest = chunk.subarray(skipped);
    skipped -= chunk.length - rest.length;
    return rest.length === 0 ? [] : rest;
  });
}
