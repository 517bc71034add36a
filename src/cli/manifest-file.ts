import { openOutput } from '../fs/atomic-file.js';

/** A text that goes out whole at the end of a build, or not at all. */
export interface PendingFile {
  commit(text: string): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Makes sure, before anything else is written, that a text can be written to a path.
 *
 * @param signal ends the wait for the reader of a fifo
 * @throws JailbuildError WRITE_FAILED
 * @throws the signal's reason
 */
export async function prepareFile(path: string, signal?: AbortSignal): Promise<PendingFile> {
  const output = await openOutput(path, signal);
  return {
    async commit(text) {
      await output.append(Buffer.from(text));
      output.commit();
    },
    async discard() {
      output.discard();
    },
  };
}
