// Usage: npm run jobs -- [--only NAME,...] [--file FILE.json]... [--part I/N] [--results FILE] [--show]
//   [POLICY...]
// Tries real jobs in jails of their programs and prints a table. Policies are options of build,
// `profile` (that of the program, if there is one), `trace` (the job is traced on the host, and the
// jail built from the trace), `prove` (with --add) and `least` (with --add --least). `npm run
// campaign:evidence` tries all of these with all jobs. With --results, each result is appended to a
// file as soon as it is known, and passes that the file has of the same build and job are not tried again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { onPath } from '../support/need.js';
import { type Job, JobTrial, readJobs, toolsOf } from './driver.js';
import { KeptResults, type Result } from './results.js';
import { advised, least, profile, prove, type Tried, trace } from './ways.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    file: { type: 'string', multiple: true, default: ['jobs.json'] },
    part: { type: 'string', default: '1/1' },
    results: { type: 'string' },
    show: { type: 'boolean', default: false },
  },
});
const POLICIES: Readonly<Record<string, readonly string[]>> = {
  default: [],
  'with-package': ['--with-package'],
};
const WAYS: Readonly<Record<string, (trial: JobTrial) => Promise<Tried | undefined>>> = {
  profile,
  trace,
  prove,
  least,
  advised,
};

async function tryPolicy(trial: JobTrial, policy: string): Promise<Tried | undefined> {
  const way = WAYS[policy];
  if (way !== undefined) return way(trial);
  const built = trial.build(POLICIES[policy] ?? policy.split(' '));
  if (built.status === 0) return { built, outcome: await trial.run() };
  return { built, outcome: { passes: false, output: built.stderr } };
}

/** What ends one job, such as its time, ends no other. */
function failed(output: string): Tried {
  const built = { status: 1, signal: null, stdout: '', stderr: '' };
  return { built, outcome: { passes: false, output } };
}

async function measure(job: Job, policy: string): Promise<Result> {
  const trial = new JobTrial(job, directory);
  const tried = await tryPolicy(trial, policy).catch((error: unknown) => failed(String(error)));
  if (tried === undefined) return 'none';
  const { built, outcome, note = '' } = tried;
  const size = built.status === 0 ? trial.size : undefined;
  if (values.show)
    process.stdout.write(`--- ${job.name} (${policy})\n${built.stderr}${outcome.output}\n`);
  rmSync(trial.root, { recursive: true, force: true });
  return { passes: outcome.passes, ...(size === undefined ? {} : { size }), note };
}

function cellOf(result: Result): string {
  if (result === 'none') return '-';
  const { passes, size, note } = result;
  return `${passes ? 'pass' : 'FAIL'} ${size === undefined ? '-' : (size / 1e6).toFixed(1)} MB${note}`;
}

const policies = positionals.length === 0 ? Object.keys(POLICIES) : positionals;
const only = values.only?.split(',');
const kept = new KeptResults(values.results);
const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-jobs-'));
const [passed, tries] = [new Map<string, number>(), new Map<string, number>()];
const [part = 1, parts = 1] = values.part.split('/').map(Number);
const jobs = values.file
  .flatMap((file) => readJobs(file))
  .filter((_, index) => index % parts === part - 1);
process.stdout.write(`| job | ${policies.join(' | ')} |\n`);
try {
  for (const job of jobs) {
    if (only !== undefined && !only.includes(job.name)) continue;
    const missing = toolsOf([job]).filter((tool) => !onPath(tool));
    if (missing.length > 0) {
      process.stdout.write(`${job.name}: needs ${missing.join(', ')}\n`);
      continue;
    }
    const cells: string[] = [];
    for (const policy of policies) {
      const result = kept.find(job, policy) ?? (await measure(job, policy));
      kept.add(job, policy, result);
      cells.push(cellOf(result));
      if (result === 'none') continue;
      tries.set(policy, (tries.get(policy) ?? 0) + 1);
      if (result.passes) passed.set(policy, (passed.get(policy) ?? 0) + 1);
    }
    process.stdout.write(`| ${job.name} | ${cells.join(' | ')} |\n`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
for (const policy of policies) {
  process.stdout.write(`${policy}: ${passed.get(policy) ?? 0} of ${tries.get(policy) ?? 0} pass\n`);
}
