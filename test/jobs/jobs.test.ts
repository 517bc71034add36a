import assert from 'node:assert/strict';
import { rmSync, symlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { adviceIn, JobTrial, type Outcome, readJobs, toolsOf } from './driver.js';
import { advised } from './ways.js';

const jobs = readJobs();

/** How many jobs pass at least, by the way in which the jail is built. */
const WAYS: Readonly<Record<string, [floor: number, run: (trial: JobTrial) => Promise<Outcome>]>> =
  {
    'in jails of their programs alone': [25, (trial) => built(trial, [])],
    'with --with-package': [59, (trial) => built(trial, ['--with-package'])],
    'with what the build advises, to the letter': [
      56,
      async (trial) => (await advised(trial)).outcome,
    ],
  };

async function built(trial: JobTrial, options: readonly string[]): Promise<Outcome> {
  const { status, stderr } = trial.build(options);
  assert.equal(status, 0, `${trial.job.name}: ${stderr}`);
  return trial.run();
}

describe('real jobs', needsRoot(...toolsOf(jobs)), () => {
  const directory = tempDir();

  for (const [name, [floor, run]] of Object.entries(WAYS)) {
    test(`at least ${floor} of ${jobs.length} pass ${name}`, async () => {
      const failed: string[] = [];
      for (const job of jobs) {
        const trial = new JobTrial(job, directory);
        if (!(await run(trial)).passes) failed.push(job.name);
        rmSync(trial.root, { recursive: true, force: true });
      }
      assert.ok(jobs.length - failed.length >= floor, `fail: ${failed.join(' ')}`);
    });
  }
});

test(
  'programs that need nothing get no advice',
  needs('env', 'bash', 'ps', 'ls', 'top', 'jq', 'sqlite3', '/bin/busybox'),
  () => {
    const programs = ['env', 'bash', 'ps', 'ls', 'top', 'jq', 'sqlite3', '/bin/busybox'];
    const others = ['cat', 'sort', 'date', 'install', 'stdbuf', 'tail'];
    const plan = jailbuild([`${tempDir()}/jail`, ...programs, ...others, '--dry-run']);
    assert.equal(plan.status, 0, plan.stderr);
    assert.deepEqual(adviceIn(plan), []);
  },
);

test('advice is for a jail, not for a whole system', needs('tclsh'), () => {
  const directory = tempDir();
  const programs = Array.from({ length: 257 }, (_, index) => `${directory}/tclsh${index}`);
  for (const program of programs) symlinkSync('/usr/bin/tclsh', program);
  const advice = (some: readonly string[]) =>
    adviceIn(jailbuild([`${directory}/jail`, ...some, '--dry-run', '--no-cache']));
  assert.notDeepEqual(advice(programs.slice(1)), []);
  assert.deepEqual(advice(programs), []);
});

test('data that a program names is advised with its package', needs('tclsh'), () => {
  const [line] = adviceIn(jailbuild([`${tempDir()}/jail`, 'tclsh', '--dry-run']));
  assert.match(
    line ?? '',
    /tclsh names \/usr\/share\/tcltk\/tcl[\d.]+, from libtcl[\d.]+: add --package libtcl[\d.]+$/,
  );
});

test(
  'a script is told what its language lacks, and a tool that makes keys not to bring them',
  needs('pod2text', 'ctags', 'ssh-keygen', 'perl'),
  () => {
    const advised = (program: string) =>
      adviceIn(jailbuild([`${tempDir()}/jail`, program, '--dry-run'])).join('\n');
    assert.match(advised('pod2text'), /is run by perl, which names .*: add --with-package/);
    assert.match(advised('ctags'), /ctags may run sort by \/bin\/sh: add sort \/bin\/sh/);
    assert.doesNotMatch(advised('ssh-keygen'), /ssh_host/);
  },
);
