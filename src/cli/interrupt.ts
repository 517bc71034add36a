import { INTERRUPT_SIGNALS, type InterruptSignal } from './exit-status.js';

/** Turns the first signal that asks to end into an abort, so that what was begun can be undone. */
export class Interrupt {
  received: InterruptSignal | undefined;
  readonly #controller = new AbortController();
  readonly #listener = (signal: NodeJS.Signals): void => {
    this.received ??= signal as InterruptSignal;
    this.#controller.abort();
  };

  constructor() {
    for (const signal of INTERRUPT_SIGNALS) process.on(signal, this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    for (const signal of INTERRUPT_SIGNALS) process.off(signal, this.#listener);
  }
}
