import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';
import { CHUNK_SIZE } from './file-tree.js';

const deflate = promisify(deflateRaw);

/** The window of DEFLATE in bytes (RFC 1951). */
const WINDOW = 32 * 1024;
/** Room for a compressed chunk, which deflate then returns in one piece instead of pieces of 16 KiB. */
const OUTPUT = CHUNK_SIZE + 4096;
/** The most memory that zlib takes, for larger blocks and fewer collisions: 5 % less time for 0.3 % more bytes. */
const MEMORY_LEVEL = 9;
/** The maximum number of parallel compressions; more bring no gain. */
const MOST_AT_ONCE = 8;
/** An empty last block. */
const LAST_BLOCK = Buffer.from([0x03, 0x00]);

/**
 * Compresses chunks into one gzip member (RFC 1952), each chunk on its own with the end of the one
 * before as dictionary, so that all processors have work. The bytes depend on where chunks end, but
 * not on how many are compressed at once. The header has no time, name or operating system.
 *
 * @param level 1 to 9
 */
export async function* gzip(chunks: Iterable<Buffer>, level: number): AsyncGenerator<Buffer> {
  const atOnce = Math.min(availableParallelism(), MOST_AT_ONCE) + 1;
  const running: Promise<Buffer>[] = [];
  let before: Buffer | undefined;
  let sum = 0;
  let size = 0;
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, level === 9 ? 2 : level === 1 ? 4 : 0, 0xff]);
  for (const chunk of chunks) {
    sum = crc32(chunk, sum);
    size += chunk.length;
    running.push(
      deflate(chunk, {
        level,
        memLevel: MEMORY_LEVEL,
        chunkSize: OUTPUT,
        finishFlush: constants.Z_SYNC_FLUSH,
        ...(before === undefined ? {} : { dictionary: before.subarray(-WINDOW) }),
      }),
    );
    before = chunk;
    if (running.length >= atOnce) yield (await running.shift()) as Buffer;
  }
  for (const block of running) yield await block;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(sum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield Buffer.concat([LAST_BLOCK, trailer]);
}
