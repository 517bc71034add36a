import { commandLineWords, keepWorkingDirectory } from '../fs/path-bytes.js';
import { meetFront } from './front.js';
import { main } from './main.js';

export { main };

/** Makes this process one to take a snapshot of, which runs other command lines. */
export async function prepare(jobs: readonly (readonly string[])[]): Promise<void> {
  const { prepareSnapshot } = await import('./snapshot.js');
  await prepareSnapshot(jobs, start);
}

/** Runs this process's command line, and ends the process. */
export async function start(): Promise<void> {
  keepWorkingDirectory();
  meetFront();
  const status = await main(commandLineWords(process.argv.slice(2)));
  // All is written by then. To let the event loop run dry costs 10 ms more: it waits for what V8 still compiles.
  process.exit(status);
}
