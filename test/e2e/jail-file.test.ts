import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { type Finished, jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

/** Creates a directory with a jail file that can be changed, and its jail. */
function site() {
  const directory = tempDir();
  return {
    at: (name: string) => path.join(directory, name),
    says: (text: string) =>
      writeFileSync(path.join(directory, 'jail.yaml'), `root: jail\nterminfo: none\n${text}\n`),
    build(...args: readonly string[]): Finished {
      const done = jailbuild([...args, '--quiet'], { cwd: directory });
      assert.equal(done.status, 0, done.stderr);
      return done;
    },
    run: (...args: readonly string[]) => jailbuild(args, { cwd: directory }),
    programs: () => readdirSync(path.join(directory, 'jail/usr/bin')),
    record: () =>
      JSON.parse(readFileSync(path.join(directory, 'jail/.jailbuild/record.json'), 'utf8')),
  };
}

describe('a jail built from a jail file', () => {
  test('contains what the file lists at present', () => {
    const { says, build, run, programs, record } = site();
    says('programs: [ls, cat]\nrun: { hostname: one }');
    build();
    assert.deepEqual(programs(), ['cat', 'ls']);
    assert.deepEqual(record().run, { hostname: 'one' });

    says('programs: [ls, env]');
    const told = run('--json');
    assert.ok(JSON.parse(told.stdout).removed.includes('/usr/bin/cat'), told.stderr);
    assert.deepEqual(programs(), ['env', 'ls']);
    assert.equal(record().run, undefined);
    assert.match(run('check', 'jail').stdout, /^Clean: /);
    assert.match(run('update', 'jail').stdout, /^Up to date: /);

    says('programs: [ls]');
    build();
    assert.deepEqual(programs(), ['ls']);
  });

  test('keeps foreign and changed files', () => {
    const { at, says, build, programs } = site();
    says('programs: [ls, cat]');
    build();
    writeFileSync(at('jail/usr/bin/mine'), 'mine');
    appendFileSync(at('jail/usr/bin/cat'), 'changed');
    says('programs: [ls]');
    build();
    assert.deepEqual(programs(), ['cat', 'ls', 'mine']);
  });

  test('only grows after the command line has added to it', () => {
    const { says, build, programs, record } = site();
    says('programs: [ls, cat]');
    build();
    build('jail', 'env');
    assert.equal(record().file, undefined);
    says('programs: [ls]');
    build();
    assert.deepEqual(programs(), ['cat', 'env', 'ls']);
  });

  test('is not limited to the file if programs are given beside it', () => {
    const { says, build, programs } = site();
    says('programs: [ls]');
    build('--file', 'jail.yaml', 'jail', 'env');
    build();
    assert.deepEqual(programs(), ['env', 'ls']);
  });
});
