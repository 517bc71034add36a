import { closeSync, constants, createReadStream, fstatSync, openSync } from 'node:fs';
import { JailbuildError, strerror } from '../errors.js';
import { toBytes } from './path-bytes.js';

/**
 * Opens a file of a known end: a regular file, or a block device. A fifo is not waited for.
 *
 * @throws JailbuildError NOT_READABLE, NOT_A_REGULAR_FILE
 */
export function openRegularFile(file: string): number {
  let fd: number;
  try {
    fd = openSync(toBytes(file), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${file}: ${strerror(error)}`, file);
  }
  const stat = fstatSync(fd);
  if (stat.isFile() || stat.isBlockDevice()) return fd;
  closeSync(fd);
  const problem = stat.isDirectory()
    ? 'is a directory: name a file'
    : 'is a stream: write its content to a file, and name that';
  throw new JailbuildError('NOT_A_REGULAR_FILE', `${file}: ${problem}`, file);
}

/**
 * Reads a regular file, or a part of it, in chunks of 256 KiB.
 *
 * @throws JailbuildError NOT_READABLE, NOT_A_REGULAR_FILE
 */
export async function* chunksOf(file: string, start = 0, size?: number): AsyncGenerator<Buffer> {
  if (size === 0) return;
  const end = size === undefined ? {} : { end: start + size - 1 };
  const fd = openRegularFile(file);
  try {
    yield* createReadStream('', {
      fd,
      start,
      ...end,
      highWaterMark: 1 << 18,
    }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${file}: ${strerror(error)}`, file);
  }
}
