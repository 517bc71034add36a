import { closeSync, openSync, writeSync } from 'node:fs';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../fs/temporary-directory.js';

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
