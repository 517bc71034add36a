import { closeSync, openSync, writeSync } from 'node:fs';
import { JailbuildError } from '../errors.js';
import { openOutput, standardOutput } from '../fs/open-output.js';
import type { OutputFile } from '../fs/output-file.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../fs/temporary-directory.js';
import { STDOUT_PATH } from './destination.js';

/** Creates a directory for data to be sent later; the caller removes it. */
export function scratchDirectory(): TemporaryDirectory {
  return makeTemporaryDirectory('jailbuild-export-');
}

/** Writes chunks to a new file and passes them on. */
export function* storeChunks(chunks: Iterable<Buffer>, file: string): Generator<Buffer> {
  const fd = openSync(file, 'wx', 0o600);
  try {
    for (const chunk of chunks) {
      for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      yield chunk;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Opens an archive to be written, a file or standard output.
 *
 * @throws JailbuildError USAGE for a terminal
 */
export async function openArchive(file: string, signal?: AbortSignal): Promise<OutputFile> {
  const output = file === STDOUT_PATH ? standardOutput() : await openOutput(file, signal);
  if (!(await output.isTerminal)) return output;
  output.discard();
  throw new JailbuildError('USAGE', `${file}: refusing to write an archive to a terminal`);
}

/** Discards a draft if the work on it fails. */
export async function drafted<D extends { discard(): void; named?(error: unknown): unknown }, R>(
  draft: D,
  work: (draft: D) => Promise<R>,
): Promise<R> {
  try {
    return await work(draft);
  } catch (error) {
    draft.discard();
    throw draft.named?.(error) ?? error;
  }
}
