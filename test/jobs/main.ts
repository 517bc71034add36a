// Usage: npm run jobs -- [--only NAME,...] [--file FILE.json] [--show] [POLICY...]
// Tries real jobs in jails of their programs and prints a table. Policies are options of build, `trace`
// (the job is traced on the host, and the jail built from that) and `prove` (with --add).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Finished } from '../support/cli.js';
import { onPath } from '../support/need.js';
import { JobTrial, type Outcome, readJobs, toolsOf } from './driver.js';
import { advised, prove, trace } from './ways.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    file: { type: 'string', default: 'jobs.json' },
    show: { type: 'boolean', default: false },
  },
});
const POLICIES: Readonly<Record<string, readonly string[]>> = {
  default: [],
  'with-package': ['--with-package'],
};
const WAYS: Readonly<Record<string, (trial: JobTrial) => Promise<Tried>>> = {
  trace,
  prove,
  advised,
};

interface Tried {
  readonly built: Finished;
  readonly outcome: Outcome;
  readonly note?: string;
}

async function tryPolicy(trial: JobTrial, policy: string): Promise<Tried> {
  const way = WAYS[policy];
  if (way !== undefined) return way(trial);
  const built = trial.build(POLICIES[policy] ?? policy.split(' '));
  if (built.status === 0) return { built, outcome: await trial.run() };
  return { built, outcome: { passes: false, output: built.stderr } };
}

const policies = positionals.length === 0 ? Object.keys(POLICIES) : positionals;
const only = values.only?.split(',');
const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-jobs-'));
const passed = new Map<string, number>();
let count = 0;
try {
  for (const job of readJobs(values.file)) {
    if (only !== undefined && !only.includes(job.name)) continue;
    const missing = toolsOf([job]).filter((tool) => !onPath(tool));
    if (missing.length > 0) {
      process.stdout.write(`${job.name}: needs ${missing.join(', ')}\n`);
      continue;
    }
    count++;
    const cells: string[] = [];
    for (const policy of policies) {
      const trial = new JobTrial(job, directory);
      const { built, outcome, note = '' } = await tryPolicy(trial, policy);
      if (outcome.passes) passed.set(policy, (passed.get(policy) ?? 0) + 1);
      const size = built.status === 0 ? (trial.size / 1e6).toFixed(1) : '-';
      cells.push(`${outcome.passes ? 'pass' : 'FAIL'} ${size} MB${note}`);
      if (values.show)
        process.stdout.write(`--- ${job.name} (${policy})\n${built.stderr}${outcome.output}\n`);
      rmSync(trial.root, { recursive: true, force: true });
    }
    process.stdout.write(`| ${job.name} | ${cells.join(' | ')} |\n`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
for (const policy of policies) {
  process.stdout.write(`${policy}: ${passed.get(policy) ?? 0} of ${count} pass\n`);
}
