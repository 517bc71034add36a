import { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { errnoOf, JailbuildError } from '../errors.js';
import { filterThrough } from '../fs/outside-program.js';
import { ProgramInput } from './program-input.js';

/** Of Node 22.15 and later (zlib, "Class: ZstdOptions"). */
interface ZstdOfNode {
  createZstdCompress?(options: { params: Record<number, number> }): NodeJS.ReadWriteStream;
  constants: { ZSTD_c_compressionLevel?: number; ZSTD_c_checksumFlag?: number };
}

/**
 * Compresses chunks into one zstd frame (RFC 8878) with a checksum, by Node if it
 * supports zstd, otherwise by the zstd program, whose output does not depend on its number of threads.
 *
 * @param level 1 to 19
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED
 */
export async function* zstd(chunks: Iterable<Buffer>, level: number): AsyncGenerator<Buffer> {
  const { createZstdCompress, constants } = zlib as unknown as ZstdOfNode;
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = constants;
  if (
    createZstdCompress === undefined ||
    ZSTD_c_compressionLevel === undefined ||
    ZSTD_c_checksumFlag === undefined
  ) {
    yield* zstdProgram(chunks, level);
    return;
  }
  const params = { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 };
  const { pipeline } = await import('node:stream');
  const compressor = createZstdCompress({ params });
  // The iteration below throws any error.
  pipeline(Readable.from(chunks, { highWaterMark: 1 }), compressor, () => {});
  yield* compressor as AsyncIterable<Buffer>;
}

async function* zstdProgram(chunks: Iterable<Buffer>, level: number): AsyncGenerator<Buffer> {
  const input = new ProgramInput(chunks);
  const args = ['--quiet', '--stdout', '-T0', `-${level}`];
  // ZSTD_CLEVEL and ZSTD_NBTHREADS of the user would change the output.
  const env = { ZSTD_CLEVEL: undefined, ZSTD_NBTHREADS: undefined };
  const end = yield* filterThrough('zstd', args, input.stream, env);
  if (input.error !== undefined) throw input.error;
  if (!end.failed) return;
  if (errnoOf(end.cause) === 'ENOENT') {
    throw new JailbuildError(
      'TOOL_MISSING',
      'zstd: not found: install the package zstd, or use Node 22.15 or later',
      'zstd',
    );
  }
  const why = `zstd: ended with status ${end.exitCode}: ${end.stderr}`;
  throw new JailbuildError('WRITE_FAILED', why, 'zstd');
}
