import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { errnoOf, JailbuildError } from '../errors.js';
import { filterThrough } from '../fs/filter.js';

const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** xz-file-format.txt, "Header Magic Bytes". */
const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const MAGIC_SIZE = 6;

/** Zstandard in node:zlib, available from Node 22.15. */
interface ZstdOfNode {
  createZstdDecompress?(): Transform;
}

/**
 * Decompresses a layer according to its magic bytes: gzip (RFC 1952), zstd (RFC 8878), xz or none. Media types are too
 * often wrong to rely on.
 *
 * @param where names the layer in messages
 * @throws JailbuildError IMAGE_INVALID, TOOL_MISSING
 */
export async function* decompress(
  chunks: AsyncIterable<Buffer>,
  where: string,
): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  while (first.reduce((sum, { length }) => sum + length, 0) < MAGIC_SIZE) {
    const next = await iterator.next();
    if (next.done) break;
    first.push(next.value);
  }
  const magic = Buffer.concat(first).subarray(0, MAGIC_SIZE);
  const all = async function* () {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  if (magic[0] === 0x1f && magic[1] === 0x8b) {
    yield* through(zlib.createGunzip({ chunkSize: 1 << 18 }), all(), where);
  } else if (magic.subarray(0, 4).equals(ZSTD)) {
    const { createZstdDecompress } = zlib as unknown as ZstdOfNode;
    if (createZstdDecompress === undefined) yield* byProgram('zstd', all(), where);
    else yield* through(createZstdDecompress(), all(), where);
  } else if (magic.equals(XZ)) {
    yield* byProgram('xz', all(), where);
  } else {
    yield* all();
  }
}

async function* through(
  transform: Transform,
  chunks: AsyncIterable<Buffer>,
  where: string,
): AsyncGenerator<Buffer> {
  let broken: unknown;
  const input = async function* () {
    try {
      yield* chunks;
    } catch (error) {
      broken = error;
      throw error;
    }
  };
  const done = pipeline(input(), transform, { end: true });
  done.catch(() => {});
  try {
    yield* transform as AsyncIterable<Buffer>;
    await done;
  } catch (error) {
    if (broken !== undefined) throw broken;
    throw damaged(where, error);
  } finally {
    transform.destroy();
  }
}

const WITHOUT_PROGRAM = {
  zstd: 'zstd: not found: install the package zstd, or use Node 22.15 or later',
  xz: 'xz: not found: install the package xz-utils',
} as const;

async function* byProgram(
  name: keyof typeof WITHOUT_PROGRAM,
  chunks: AsyncIterable<Buffer>,
  where: string,
): AsyncGenerator<Buffer> {
  const input = Readable.from(chunks, { objectMode: false });
  const args = ['--quiet', '--decompress', '--stdout'];
  const { failed, cause } = yield* filterThrough(name, args, input);
  if (!failed) return;
  if (errnoOf(cause) === 'ENOENT') {
    throw new JailbuildError('TOOL_MISSING', WITHOUT_PROGRAM[name], name);
  }
  throw damaged(where, cause);
}

function damaged(where: string, cause: unknown): JailbuildError {
  return new JailbuildError('IMAGE_INVALID', `${where}: cannot be decompressed`, where, { cause });
}
