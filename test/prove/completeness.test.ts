import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareRun, OBSERVED_RUNS } from '../campaign/observed.js';
import { needs } from '../support/need.js';

/** `npm run campaign:observed` compares all of them. */
const PART = 4;

describe('the observer sees what strace sees', needs('strace', 'perl', 'python3', 'gcc'), () => {
  for (const run of OBSERVED_RUNS.filter((_, index) => index % PART === 2)) {
    test(run, () => {
      const { expected, missing } = compareRun(run);
      assert.ok(expected > 5, `${expected} uses`);
      assert.deepEqual(missing, []);
    });
  }
});
