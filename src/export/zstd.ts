import { pipeline, Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { errnoOf, JailbuildError } from '../errors.js';
import { type FilterEnd, filterInto, filterThrough } from '../fs/filter.js';
import { ProgramInput } from './program-input.js';

const PROGRAM = 'zstd';

/** ZSTD_CLEVEL and ZSTD_NBTHREADS of the user would change the output. */
const ENVIRONMENT = { ZSTD_CLEVEL: undefined, ZSTD_NBTHREADS: undefined };

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
  const compressor = createZstdCompress({ params });
  // The iteration below throws any error.
  pipeline(Readable.from(chunks, { highWaterMark: 1 }), compressor, () => {});
  yield* compressor as AsyncIterable<Buffer>;
}

/** Returns whether Node has no zstd of its own. */
export function isProgramNeeded(): boolean {
  return !('createZstdCompress' in zlib);
}

/**
 * Has the zstd program write the frame that {@link zstd} returns to a descriptor, without a detour through this process.
 *
 * @throws JailbuildError as `zstd`
 */
export async function zstdInto(fd: number, chunks: Iterable<Buffer>, level: number): Promise<void> {
  const input = new ProgramInput(chunks);
  refuseFailure(
    await filterInto(fd, PROGRAM, argumentsFor(level), input.stream, ENVIRONMENT),
    input,
  );
}

async function* zstdProgram(chunks: Iterable<Buffer>, level: number): AsyncGenerator<Buffer> {
  const input = new ProgramInput(chunks);
  const end = yield* filterThrough(PROGRAM, argumentsFor(level), input.stream, ENVIRONMENT);
  refuseFailure(end, input);
}

function argumentsFor(level: number): readonly string[] {
  return ['--quiet', '--stdout', '-T0', `-${level}`];
}

function refuseFailure(end: FilterEnd, input: ProgramInput): void {
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
