import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tempDir } from '../support/temp-dir.js';
import { attempt, needsOf, sampleOf } from './sample.js';
import { prove } from './ways.js';

/** Rounds after which a jail of only the programs must contain all that the job needs. */
const MOST_ROUNDS = 3;

const jobs = sampleOf(0);

describe('proven jobs', needsOf(jobs), () => {
  const directory = tempDir();
  for (const job of jobs) {
    test(`${job.name} passes after at most ${MOST_ROUNDS} rounds of prove --add`, async () => {
      const { outcome, rounds } = await attempt(job, directory, prove);
      assert.ok(outcome.passes, outcome.output);
      assert.ok((rounds ?? 0) <= MOST_ROUNDS, outcome.output);
    });
  }
});
