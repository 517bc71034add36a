import { createHash } from 'node:crypto';
import type { OutputFile } from '../fs/output-file.js';
import { type Blob, writeBlob, writeChunks } from './blobs.js';
import { type CompressionChoice, compress, levelOf } from './compression.js';
import type { Packing } from './file-tree.js';

/** How long the event loop may wait for its turn, in milliseconds: signals and the display need one. */
const LONGEST_TURN = 50;

/** Two ways to make the same archive. */
export interface Archive {
  /** Returns its chunks. */
  pack(packing?: Packing): Iterable<Buffer>;
  /** Writes it into an empty draft without a detour through this process; false if that cannot be done. */
  place(output: OutputFile): Promise<boolean>;
}

/**
 * Packs, compresses and writes an archive to an output, which is not committed.
 *
 * @param isDigested without it, no digest is computed: SHA-256 takes as long as the rest of a plain archive
 * @throws JailbuildError as `compress`; WRITE_FAILED
 */
export async function writeArchive(
  { pack, place }: Archive,
  compression: CompressionChoice,
  output: OutputFile,
  isDigested: boolean,
): Promise<Pick<Blob, 'size'> & Partial<Blob>> {
  const { kind, level } = compression;
  const write = (...some: readonly Buffer[]) => output.append(...some);
  if (isDigested && kind === 'none') {
    const hash = createHash('sha256');
    const size = await writeChunks(pack({ hash }), write);
    return { digest: `sha256:${hash.digest('hex')}`, size };
  }
  if (isDigested) return writeBlob(compress(pack(), compression), write);
  if (!output.isDraft) return { size: await writeChunks(compress(pack(), compression), write) };
  if (kind === 'none') {
    if (!(await place(output))) await writeInTurns(pack({ inTurn: 1 }), output);
  } else if (kind === 'zstd' && (await import('./zstd.js')).isProgramNeeded()) {
    const { zstdInto } = await import('./zstd.js');
    await output.fill((fd) => zstdInto(fd, pack(), levelOf(kind, level)));
  } else {
    await writeInTurns(compress(pack(), compression), output);
  }
  return { size: output.size };
}

/**
 * Writes each chunk as soon as it is made: it is still in the processor's cache, and no thread has to be
 * woken. With several chunks at a time in another thread, the same takes a quarter more processor time.
 */
async function writeInTurns(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  output: OutputFile,
): Promise<void> {
  let turned = performance.now();
  for await (const chunk of chunks) {
    output.appendSync(chunk);
    if (performance.now() - turned < LONGEST_TURN) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turned = performance.now();
  }
}
