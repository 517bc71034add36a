import { startupSnapshot } from 'node:v8';
import { forgetIndex } from '../evidence/packages/latest-index.js';
import { useFront } from '../jail/engine/front-connection.js';
import { meetFront } from './front.js';
import { main } from './main.js';

/**
 * Prepares this process for a startup snapshot (node --build-snapshot): runs some jobs, so that their code
 * is loaded and compiled, and removes what they made.
 *
 * @param jobs command lines, which may fail: what they say of this machine does not matter
 * @param start what a process does that begins with the snapshot
 */
export async function prepareSnapshot(
  jobs: readonly (readonly string[])[],
  start: () => Promise<void>,
): Promise<void> {
  startupSnapshot.setDeserializeMainFunction(() => void start());
  meetFront();
  for (const words of jobs) await main(words);
  useFront(undefined);
  forgetIndex();
}
