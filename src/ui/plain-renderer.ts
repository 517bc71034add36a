import { ListrRenderer, ListrTaskEventType, type ListrTaskObject } from 'listr2';

type Task = ListrTaskObject<unknown, typeof PlainRenderer, typeof PlainRenderer>;

/**
 * Shows listr2's tasks as plain lines, for pipes and files: each line of a task's output, framed as
 * the script of the article does it.
 */
export class PlainRenderer extends ListrRenderer {
  static override nonTTY = true;
  readonly #tasks: readonly Task[];
  #started = false;

  constructor(tasks: Task[]) {
    super(tasks, {});
    this.#tasks = tasks;
  }

  override render = (): void => {
    for (const task of this.#tasks) {
      task.on(ListrTaskEventType.OUTPUT, (line) => {
        if (!this.#started) process.stdout.write('Copying ...\n\n');
        this.#started = true;
        process.stdout.write(`${line}\n`);
      });
    }
  };

  override end = (error?: Error): void => {
    if (this.#started) process.stdout.write(error === undefined ? '\n...... Done\n' : '\n');
  };
}
