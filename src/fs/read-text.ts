import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { fromBytes, toBytes } from './path-bytes.js';

const CHUNK = 1 << 16;

/**
 * Reads a text file named by the user, or a device or pipe up to the limit. Bytes that are not UTF-8 are escaped as in
 * paths.
 *
 * @param limit bytes
 * @param name how messages name the file
 * @throws JailbuildError NOT_READABLE, also for content longer than the limit
 */
export function readTextFile(file: string, limit: number, name = file): string {
  const refuse = (why: string): JailbuildError =>
    new JailbuildError('NOT_READABLE', `${name}: ${why}`, file);
  try {
    const fd = openSync(toBytes(file), 'r');
    try {
      if (fstatSync(fd).isDirectory()) throw refuse('is a directory');
      const bytes = readUpTo(fd, limit);
      if (bytes === undefined) throw refuse(`is larger than ${limit} bytes`);
      return fromBytes(bytes);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw refuse(strerror(error));
  }
}

/**
 * Reads everything from a descriptor.
 *
 * @param limit bytes
 * @returns undefined if there is more than the limit
 * @throws system errors
 */
export function readUpTo(fd: number, limit: number): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const count = readSync(fd, chunk, 0, CHUNK, null);
    if (count === 0) return Buffer.concat(chunks);
    size += count;
    if (size > limit) return undefined;
    chunks.push(chunk.subarray(0, count));
  }
}
