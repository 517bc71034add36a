import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tempDir } from '../support/temp-dir.js';
import { attempt, needsOf, sampleOf } from './sample.js';
import { trace } from './ways.js';

const jobs = sampleOf(1);

describe('traced jobs', needsOf(jobs), () => {
  const directory = tempDir();
  for (const job of jobs) {
    test(`${job.name} passes at once in a jail of its trace`, async () => {
      const { outcome } = await attempt(job, directory, trace);
      assert.ok(outcome.passes, outcome.output);
    });
  }
});
