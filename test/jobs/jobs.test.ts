import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { JobTrial, readJobs, toolsOf } from './driver.js';

/** How many jobs pass at least in jails of their programs alone. */
const DEFAULT_FLOOR = 25;

const jobs = readJobs();

describe('real jobs in jails of their programs', needsRoot(...toolsOf(jobs)), () => {
  const directory = tempDir();

  test(`at least ${DEFAULT_FLOOR} of ${jobs.length} pass by default`, async () => {
    const passed: string[] = [];
    for (const job of jobs) {
      const trial = new JobTrial(job, directory);
      const built = trial.build();
      assert.equal(built.status, 0, `${job.name}: ${built.stderr}`);
      if ((await trial.run()).passes) passed.push(job.name);
      rmSync(trial.root, { recursive: true, force: true });
    }
    assert.ok(passed.length >= DEFAULT_FLOOR, `${passed.length} pass: ${passed.join(' ')}`);
  });
});
