import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { type Job, JobTrial, readJobs, toolsOf } from './driver.js';
import { prove, type Tried, trace } from './ways.js';

/** Rounds after which a jail of only the programs must contain all that the job needs. */
const MOST_ROUNDS = 3;
/** A sample for each way; `npm run jobs -- trace prove` tries all jobs. */
const TRACED = 3;
const PROVEN = 9;
/** Needs the host keys, which are never added. */
const WITHOUT_SECRETS = (job: Job): boolean => job.name !== 'sshd-t';

const jobs = ['jobs.json', 'more.json', 'named.json'].flatMap(readJobs).filter(WITHOUT_SECRETS);
const [traced, proven] = [
  jobs.filter((_, index) => index % TRACED === 1),
  jobs.filter((_, index) => index % PROVEN === 3),
];
const tools = ['unshare', 'setpriv', 'ip', 'openssl', 'gcc', 'musl-gcc'];

describe('real jobs', needsRoot(...toolsOf([...traced, ...proven]), ...tools), () => {
  const directory = tempDir();
  const attempt = async (job: Job, way: (trial: JobTrial) => Promise<Tried>): Promise<Tried> => {
    const trial = new JobTrial(job, directory);
    const tried = await way(trial);
    rmSync(trial.root, { recursive: true, force: true });
    return tried;
  };

  for (const job of traced) {
    test(`${job.name} passes at once in a jail of its trace`, async () => {
      const { outcome } = await attempt(job, trace);
      assert.ok(outcome.passes, outcome.output);
    });
  }

  for (const job of proven) {
    test(`${job.name} passes after at most ${MOST_ROUNDS} rounds of prove --add`, async () => {
      const { outcome, rounds } = await attempt(job, prove);
      assert.ok(outcome.passes, outcome.output);
      assert.ok((rounds ?? 0) <= MOST_ROUNDS, outcome.output);
    });
  }
});
