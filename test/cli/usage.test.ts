import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

describe('a wrong command line causes one line with the mistake, and status 2', () => {
  const directory = tempDir();
  const cases: readonly (readonly [words: string, message: string])[] = [
    ['jail ls --fromat json', 'unknown option --fromat; did you mean --format? (build)'],
    ['--fromat json', 'unknown option --fromat; did you mean --format? (build)'],
    ['jail ls --dryrun', 'unknown option --dryrun; did you mean --dry-run? (build)'],
    ['jail ls --bandwidth', 'unknown option --bandwidth (build)'],
    ['jail ls --prof sftp', 'unknown option --prof; did you mean --profile? (build)'],
    ['jail ls --ca', 'unknown option --ca (build)'],
    ['jail ls -Z', 'unknown option -Z (build)'],
    ['jail ls --format', '--format needs a value (build)'],
    ['jail ls --format yml', '--format yml: give table, json or github (build)'],
    ['jail ls --format json --format json', '--format is given more than once (build)'],
    ['run', '<root> is missing (run)'],
    ['run jail --env', '--env needs a value (run)'],
    ['run jail --netwrok none', 'unknown option --netwrok; did you mean --network? (run)'],
    ['run jail ls', 'run takes no argument ls; write jailbuild run jail -- ls (run)'],
    ['run jail ls -l', 'unknown option -l; write jailbuild run jail -- ls -l (run)'],
    [
      'run --user 0 jail sh --login -x',
      'unknown option --login; write jailbuild run --user 0 jail -- sh --login -x (run)',
    ],
    ['exec jail ls --all', 'unknown option --all; write jailbuild exec jail -- ls --all (exec)'],
    ['export jail', '--to is missing (export)'],
    ['tree', '<program..> is missing (tree)'],
    ['why ls', '<path> is missing (why)'],
    [
      'update jail --keep-changed --replace-changed',
      '--keep-changed and --replace-changed cannot be combined (update)',
    ],
    [
      'rnu jail',
      'no command rnu; did you mean run? To create a directory of that name, write ./rnu ()',
    ],
    [
      'biuld jail ls',
      'no command biuld; did you mean build? To create a directory of that name, write ./biuld ()',
    ],
  ];
  for (const [words, message] of cases) {
    test(words, () => {
      const { status, stdout, stderr } = jailbuild(words.split(' '), { cwd: directory });
      const see = message.replace(/ \((\w*)\)$/, (_, name) =>
        name === '' ? ' (see jailbuild --help)' : ` (see jailbuild ${name} --help)`,
      );
      assert.equal(stderr, `jailbuild: ${see}\n`);
      assert.equal(stdout, '');
      assert.equal(status, 2);
    });
  }

  for (const [option, command, problem] of [
    ['--exclude', 'a', 'a pattern is empty'],
    ['--forbid', 'b', '--forbid has an empty pattern'],
  ] as const) {
    test(`an empty pattern for ${option} is refused in one line`, () => {
      const { status, stderr } = jailbuild([command, 'true', option, '', '--dry-run'], {
        cwd: directory,
      });
      assert.equal(stderr, `jailbuild: ${problem}: leave it out\n`);
      assert.equal(status, 2);
    });
  }

  const empty: readonly (readonly [words: readonly string[], message: string])[] = [
    [['', 'ls'], '<root> is empty (see jailbuild build --help)'],
    [['jail', ''], '<program> is empty (see jailbuild build --help)'],
    [['jail', 'ls', '--sysroot', ''], '--sysroot is empty (see jailbuild build --help)'],
    [['run', '', '--', 'ls'], '<root> is empty (see jailbuild run --help)'],
    [['remove', ''], '<root> is empty (see jailbuild remove --help)'],
    [['init', ''], '<file> is empty (see jailbuild init --help)'],
  ];
  for (const [words, message] of empty) {
    test(`an empty word is refused as a path: ${JSON.stringify(words)}`, () => {
      const before = readdirSync(directory);
      const { status, stderr } = jailbuild(words, { cwd: directory });
      assert.equal(stderr, `jailbuild: ${message}\n`);
      assert.equal(status, 2);
      assert.deepEqual(readdirSync(directory), before);
    });
  }

  test('with --json the error is printed as JSON', () => {
    const { status, stdout } = jailbuild(['jail', 'ls', '--json', '--fromat']);
    assert.deepEqual(JSON.parse(stdout), {
      status: 'failed',
      error: {
        code: 'USAGE',
        message: 'unknown option --fromat; did you mean --format? (see jailbuild build --help)',
      },
    });
    assert.equal(status, 2);
  });

  test('--json after -- does not request JSON', () => {
    const { stdout, stderr } = jailbuild(['run', 'jail', '--ipc', 'x', '--', 'app', '--json']);
    assert.equal(stderr, 'jailbuild: --ipc x: give private or host (see jailbuild run --help)\n');
    assert.equal(stdout, '');
  });

  test('a profile is shown with and without the word show', () => {
    const shown = jailbuild(['profiles', 'show', 'tz', 'ssl']);
    assert.match(shown.stdout, /^tz: [\s\S]*\nssl: /);
    assert.deepEqual(jailbuild(['profiles', 'tz', 'ssl']), shown);
    const { status, stderr } = jailbuild(['profiles', 'sfpt']);
    assert.equal(stderr, 'jailbuild: sfpt: no such profile; did you mean sftp?\n');
    assert.equal(status, 1);
  });

  test('an existing directory is a target, even if its name resembles a command', () => {
    mkdirSync(path.join(directory, 'ruin'));
    const { stderr } = jailbuild(['ruin', 'no-such-program'], { cwd: directory });
    assert.match(stderr, /no-such-program/);
  });

  test('without arguments, the commands and an example are printed', () => {
    const { status, stdout, stderr } = jailbuild([], { cwd: directory });
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: /);
    assert.match(stderr, /^ {2}jailbuild \/var\/local\/jail env bash ps ls top$/m);
    // One line per command, in groups, and a few around them.
    assert.ok(stderr.split('\n').length <= 64, stderr);
  });
});
