import { JailbuildError } from '../errors.js';
import { INTERRUPT_SIGNALS, type InterruptSignal, signalStatus } from './exit-status.js';
import { writeErr } from './output/output.js';
import { reportError } from './report-error.js';

/**
 * Turns the first termination signal into an abort, so that partial work can be undone. Before `listen`,
 * when nothing is written yet, a signal ends the process at once: resolving programs does not return to
 * the event loop, and would not notice the signal until it ends.
 */
export class Interrupt {
  received: InterruptSignal | undefined;
  readonly #controller = new AbortController();
  readonly #listener = (signal: NodeJS.Signals): void => {
    this.received ??= signal as InterruptSignal;
    this.#controller.abort();
  };

  #listens = false;

  listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    for (const signal of INTERRUPT_SIGNALS) process.on(signal, this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Reports that the work was interrupted, and returns the exit status.
   *
   * @param error what the work threw
   * @param outcome what has become of it
   * @throws `error`, where no signal ended the work
   */
  statusAfter(error: unknown, outcome: string): number {
    if (this.received === undefined) throw error;
    // Any other error: the undo was incomplete.
    if (error instanceof JailbuildError) reportError(error, false);
    else writeErr(`jailbuild: ended by ${this.received}, ${outcome}\n`);
    return signalStatus(this.received);
  }

  stop(): void {
    for (const signal of INTERRUPT_SIGNALS) process.off(signal, this.#listener);
  }
}
