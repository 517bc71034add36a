import { after } from 'node:test';

/** Actions that clean up after a suite, run in reverse order. Create it in the suite's body. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];

  constructor() {
    after(async () => {
      for (const step of this.#steps.reverse()) await step();
    });
  }

  add(step: () => unknown): void {
    this.#steps.push(step);
  }
}
