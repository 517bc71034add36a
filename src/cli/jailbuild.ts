import { commandLineWords, keepWorkingDirectory } from '../fs/path-bytes.js';
import { EXIT } from './exit-status.js';
import { meetFront } from './front.js';
import { main } from './main.js';
import { beginAnswer, storeAnswer } from './stored-answer.js';

export { main };

/** Prepares this process for a snapshot, which will run other command lines. */
export async function prepare(jobs: readonly (readonly string[])[]): Promise<void> {
  const { prepareSnapshot } = await import('./snapshot.js');
  await prepareSnapshot(jobs, start);
}

/** Runs the command line of this process and ends it. */
export async function start(): Promise<void> {
  keepWorkingDirectory();
  meetFront();
  beginAnswer();
  const status = await main(commandLineWords(process.argv.slice(2)));
  if (status === EXIT.ok) storeAnswer();
  // All output is written. Draining the event loop takes 10 ms more: it waits for V8's compiler threads.
  process.exit(status);
}
