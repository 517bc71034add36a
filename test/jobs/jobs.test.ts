import assert from 'node:assert/strict';
import { rmSync, symlinkSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { adviceIn, type Job, JobTrial, readJobs, remediesIn, toolsOf } from './driver.js';

/** Minimum number of jobs of a file that pass, by the way in which the jail is built. */
const FLOORS = {
  'jobs.json': { alone: 25, package: 60, advised: 60 },
  'named.json': { alone: 12, package: 24, advised: 25 },
} as const;

type Way = 'alone' | 'package' | 'advised';

const WAYS: Readonly<Record<Way, string>> = {
  alone: 'in jails of only their programs',
  package: 'with --with-package',
  advised: 'with exactly what the build advises',
};

/**
 * Runs jobs of the same programs in jails that they share, built in each way, and calls `failed`
 * for each that fails.
 */
async function tryJobs(
  jobs: readonly Job[],
  directory: string,
  failed: (way: Way, name: string) => void,
): Promise<void> {
  const [first] = jobs;
  assert.ok(first);
  const trial = new JobTrial(first, directory);
  const trials = [trial, ...jobs.slice(1).map((job) => new JobTrial(job, directory, trial.root))];
  const build = (...options: readonly string[]) => {
    rmSync(trial.root, { recursive: true, force: true });
    const built = trial.build(options);
    assert.equal(built.status, 0, `${first.name}: ${built.stderr}`);
    return built;
  };
  const run = async (...ways: readonly Way[]) => {
    for (const each of trials) {
      each.prepare();
      if ((await each.run()).passes) continue;
      for (const way of ways) failed(way, each.job.name);
    }
  };
  const remedies = remediesIn(adviceIn(build()));
  if (remedies.length === 0) await run('alone', 'advised');
  else {
    await run('alone');
    build(...remedies);
    await run('advised');
  }
  build('--with-package');
  await run('package');
  for (const each of trials) rmSync(each.directory, { recursive: true, force: true });
}

for (const [file, floors] of Object.entries(FLOORS)) {
  const jobs = readJobs(file);
  describe(`real jobs of ${file}`, needsRoot(...toolsOf(jobs)), () => {
    const directory = tempDir();
    const failed: Readonly<Record<Way, string[]>> = { alone: [], package: [], advised: [] };

    before(async () => {
      const groups = new Map<string, Job[]>();
      for (const job of jobs) {
        const programs = JSON.stringify(job.programs);
        groups.set(programs, [...(groups.get(programs) ?? []), job]);
      }
      for (const group of groups.values())
        await tryJobs(group, directory, (way, name) => failed[way].push(name));
    });

    for (const way of ['alone', 'package', 'advised'] as const)
      test(`at least ${floors[way]} of ${jobs.length} pass ${WAYS[way]}`, () => {
        const names = failed[way];
        assert.ok(jobs.length - names.length >= floors[way], `fail: ${names.join(' ')}`);
      });
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
