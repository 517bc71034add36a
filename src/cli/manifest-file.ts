import { openOutput } from '../fs/open-output.js';
import type { OutputFile } from '../fs/output-file.js';
import { pathBuffer } from '../fs/path-bytes.js';

/** A text that is written completely at the end of a build, or not at all. */
export interface PendingFile {
  commit(text: string): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Checks that a text can be written to a path, before anything else is written.
 *
 * @param signal ends the wait for the reader of a fifo
 * @throws JailbuildError WRITE_FAILED
 * @throws the signal's reason
 */
export async function prepareFile(path: string, signal?: AbortSignal): Promise<PendingFile> {
  let output: OutputFile | undefined = await openOutput(path, signal);
  // Files are created only at commit, so a killed process leaves nothing behind.
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
