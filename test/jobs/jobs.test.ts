import assert from 'node:assert/strict';
import { rmSync, symlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { adviceIn, JobTrial, type Outcome, readJobs, toolsOf } from './driver.js';
import { advised } from './ways.js';

type Way = (trial: JobTrial) => Promise<Outcome>;

const WAYS: Readonly<Record<string, Way>> = {
  'in jails of only their programs': (trial) => built(trial, []),
  'with --with-package': (trial) => built(trial, ['--with-package']),
  'with exactly what the build advises': async (trial) => (await advised(trial)).outcome,
};

/** Minimum number of jobs of a file that pass, by the way in which the jail is built. */
const FLOORS: Readonly<Record<string, readonly number[]>> = {
  'jobs.json': [25, 60, 60],
  'named.json': [12, 24, 25],
};

async function built(trial: JobTrial, options: readonly string[]): Promise<Outcome> {
  const { status, stderr } = trial.build(options);
  assert.equal(status, 0, `${trial.job.name}: ${stderr}`);
  return trial.run();
}

for (const [file, floors] of Object.entries(FLOORS)) {
  const jobs = readJobs(file);
  describe(`real jobs of ${file}`, needsRoot(...toolsOf(jobs)), () => {
    const directory = tempDir();

    for (const [at, [name, run]] of Object.entries(WAYS).entries()) {
      const floor = floors[at] ?? jobs.length;
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
}

test(
  'programs that need nothing else get no advice',
  needs('env', 'bash', 'ps', 'ls', 'top', 'jq', 'sqlite3', '/bin/busybox'),
  () => {
    const programs = ['env', 'bash', 'ps', 'ls', 'top', 'jq', 'sqlite3', '/bin/busybox'];
    const others = ['cat', 'sort', 'date', 'install', 'stdbuf', 'tail', 'split', 'chroot'];
    const plan = jailbuild([`${tempDir()}/jail`, ...programs, ...others, '--dry-run']);
    assert.equal(plan.status, 0, plan.stderr);
    assert.deepEqual(adviceIn(plan), []);
  },
);

test(
  'scripts of a package bring the basic programs that they run',
  needs('Rscript', 'groff', 'wish'),
  () => {
    const paths = (program: string) => {
      const plan = jailbuild([
        `${tempDir()}/jail`,
        program,
        '--with-package',
        '--dry-run',
        '--json',
      ]);
      assert.equal(plan.status, 0, plan.stderr);
      const { entries } = JSON.parse(plan.stdout) as { entries: { path: string }[] };
      return new Set(entries.map(({ path }) => path));
    };
    const forR = paths('Rscript');
    // /usr/lib/R/bin/R runs them; no file of the packages names them.
    assert.ok(forR.has('/usr/bin/sed') || forR.has('/bin/sed'));
    assert.ok(forR.has('/usr/bin/uname') || forR.has('/bin/uname'));
    // The description of an output device names the program that writes to a terminal; groff itself
    // does not.
    assert.ok(paths('groff').has('/usr/bin/grotty'));
    // A library from another source package names its scripts.
    assert.ok(paths('wish').has('/usr/share/tcltk/tcl8.6/init.tcl'));
  },
);

test('a request of a whole system gets no advice', needs('tclsh'), () => {
  const directory = tempDir();
  const programs = Array.from({ length: 257 }, (_, index) => `${directory}/tclsh${index}`);
  for (const program of programs) symlinkSync('/usr/bin/tclsh', program);
  const advice = (some: readonly string[]) =>
    adviceIn(jailbuild([`${directory}/jail`, ...some, '--dry-run', '--no-cache']));
  assert.notDeepEqual(advice(programs.slice(1)), []);
  assert.deepEqual(advice(programs), []);
});

test('advice names the package of data that a program names', needs('tclsh'), () => {
  const [line] = adviceIn(jailbuild([`${tempDir()}/jail`, 'tclsh', '--dry-run']));
  assert.match(
    line ?? '',
    /tclsh names \/usr\/share\/tcltk\/tcl[\d.]+, from libtcl[\d.]+: add --package libtcl[\d.]+$/,
  );
});

test(
  'a script gets advice about its language, and a key generator none about keys',
  needs('pod2text', 'ctags', 'ssh-keygen', 'perl'),
  () => {
    const advised = (program: string) =>
      adviceIn(jailbuild([`${tempDir()}/jail`, program, '--dry-run'])).join('\n');
    assert.match(advised('pod2text'), /is run by perl, which names .*: add --with-package/);
    assert.match(advised('ctags'), /ctags may run sort through \/bin\/sh: add sort \/bin\/sh/);
    assert.doesNotMatch(advised('ssh-keygen'), /ssh_host/);
  },
);
