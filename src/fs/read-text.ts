import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { fromBytes, toBytes } from './path-bytes.js';

const CHUNK = 1 << 16;

/**
 * Reads a text file named by the user, or a device or pipe up to the limit. Bytes that are not UTF-8 are escaped as in
 * paths.
 *
 * @param limit bytes
 * @throws JailbuildError NOT_READABLE, also for content longer than the limit
 */
export function readTextFile(file: string, limit: number): string {
  const refuse = (why: string): JailbuildError =>
    new JailbuildError('NOT_READABLE', `${file}: ${why}`, file);
  try {
    const fd = openSync(toBytes(file), 'r');
    try {
      const stat = fstatSync(fd);
      if (stat.isDirectory()) throw refuse('is a directory');
      if (stat.size > limit) throw refuse(`is larger than ${limit} bytes`);
      const chunks: Buffer[] = [];
      let size = 0;
      for (;;) {
        const chunk = Buffer.allocUnsafe(CHUNK);
        const count = readSync(fd, chunk, 0, CHUNK, null);
        if (count === 0) break;
        size += count;
        if (size > limit) throw refuse(`is larger than ${limit} bytes`);
        chunks.push(chunk.subarray(0, count));
      }
      return fromBytes(Buffer.concat(chunks));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw refuse(strerror(error));
  }
}
