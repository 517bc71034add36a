import type { WorkProgress } from '../../manifest/work.js';
import { writeOut } from './output.js';
import { workText } from './work-text.js';

/** DECTCEM (ECMA-48, DEC VT510). */
export const SHOW_CURSOR = '\x1b[?25h';

/** The time in milliseconds after which progress is shown. */
export const SHOWN_AFTER = 1000;
/** The time in milliseconds between updates. */
const INTERVAL = 100;

/**
 * Runs a task and shows its progress if it takes more than a second. The progress is removed from
 * the terminal at the end.
 *
 * @param isShown whether standard output is a terminal to show it on
 * @throws what the task throws
 */
export async function showingProgress<T>(
  isShown: boolean,
  work: (onWork: (progress: WorkProgress) => void) => Promise<T>,
): Promise<T> {
  if (!isShown) return work(() => {});
  const display = new Display();
  try {
    return await work((progress) => display.update(progress));
  } finally {
    await display.end();
  }
}

class Display {
  readonly #timer = setTimeout(() => this.#start(), SHOWN_AFTER);
  #changed = 0;
  #progress: WorkProgress | undefined;
  #task: { title: string } | undefined;
  #end: () => void = () => {};
  #run: Promise<unknown> | undefined;

  update(progress: WorkProgress): void {
    this.#progress = progress;
    const now = performance.now();
    if (this.#task === undefined || now - this.#changed < INTERVAL) return;
    this.#changed = now;
    this.#task.title = this.#title;
  }

  get #title(): string {
    return this.#progress === undefined ? 'Working' : workText(this.#progress);
  }

  #start(): void {
    this.#run ??= this.#show();
  }

  /** Loads the renderer on demand: it takes 20 ms. */
  async #show(): Promise<void> {
    const { Listr } = await import('listr2');
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    const task = async (_: unknown, shown: { title: string }): Promise<void> => {
      this.#task = shown;
      // A signal may end the process before it writes, leaving the cursor hidden.
      writeOut(SHOW_CURSOR);
      await ended;
    };
    await new Listr([{ title: this.#title, task }], {
      registerSignalListeners: false,
      rendererOptions: { clearOutput: true },
    }).run();
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    // The task may not have started.
    while (this.#run !== undefined && this.#task === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#end();
    await this.#run;
  }
}
