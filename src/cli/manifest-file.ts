import { type OutputFile, openOutput } from '../fs/atomic-file.js';
import { pathBuffer } from '../fs/path-bytes.js';

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
  let output: OutputFile | undefined = await openOutput(path, signal);
  // A file can wait: a process that is killed meanwhile leaves nothing.
  if (output.isDraft) {
    output.discard();
    output = undefined;
  }
  return {
    async commit(text) {
      output ??= await openOutput(path);
      try {
        await output.append(pathBuffer(text));
        output.commit();
      } finally {
        output.discard();
      }
    },
    async discard() {
      output?.discard();
    },
  };
}
