import { statSync, writeFileSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../errors.js';

/** A file that appears whole at the end of a build, or not at all. */
export interface PendingFile {
  commit(text: string): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Makes sure, before anything else is written, that a file can be written.
 *
 * @throws JailbuildError WRITE_FAILED
 */
export async function prepareFile(path: string): Promise<PendingFile> {
  const draft = `${path}.${process.pid}.tmp`;
  const failed = (error: unknown): unknown =>
    errnoOf(error) === undefined
      ? error
      : new JailbuildError('WRITE_FAILED', `${path}: ${strerror(error)}`, path);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new JailbuildError('WRITE_FAILED', `${path}: is a directory`, path);
  }
  try {
    writeFileSync(draft, '', { flag: 'wx' });
  } catch (error) {
    throw failed(error);
  }
  const { move, remove } = await import('fs-extra/esm');
  return {
    async commit(text) {
      try {
        writeFileSync(draft, text);
        await move(draft, path, { overwrite: true });
      } catch (error) {
        throw failed(error);
      }
    },
    discard: () => remove(draft),
  };
}
