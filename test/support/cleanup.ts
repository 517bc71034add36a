import { after } from 'node:test';

/** What is to be undone when the tests of a suite are done, the latest first. Made in the suite's body. */
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
