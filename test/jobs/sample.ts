import { rmSync } from 'node:fs';
import { needsRoot } from '../support/need.js';
import { type Job, JobTrial, readJobs, toolsOf } from './driver.js';
import type { Tried } from './ways.js';

/** Part of the jobs; `npm run campaign:evidence` tries all of them in all ways. */
const PARTS = 3;
/** Needs the host keys, which are never added. */
const WITHOUT_SECRETS = (job: Job): boolean => job.name !== 'sshd-t';

/** Returns a third of all jobs. */
export function sampleOf(part: 0 | 1 | 2): Job[] {
  return ['jobs.json', 'more.json', 'named.json']
    .flatMap(readJobs)
    .filter(WITHOUT_SECRETS)
    .filter((_, index) => index % PARTS === part);
}

/** Returns what is needed to run jobs in their jails and on the host. */
export function needsOf(jobs: readonly Job[]) {
  return needsRoot(...toolsOf(jobs), ...['unshare', 'setpriv', 'ip', 'openssl', 'gcc', 'musl-gcc']);
}

/** Tries a job in a jail below a directory, and removes the jail. */
export async function attempt(
  job: Job,
  directory: string,
  way: (trial: JobTrial) => Promise<Tried>,
): Promise<Tried> {
  const trial = new JobTrial(job, directory);
  const tried = await way(trial);
  rmSync(trial.root, { recursive: true, force: true });
  return tried;
}
