import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, type Finished, JAILBUILD, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY, NOBODY } from './support.js';

type Run = (...args: readonly string[]) => Finished;

const asRoot: Run = (...args) => jailbuild(args);
const asUser: Run = (...args) =>
  // Executed by setpriv itself, which may still search directories that are closed to the user.
  exec('setpriv', [...AS_NOBODY.slice(1), process.execPath, JAILBUILD, ...args], {
    env: { ...process.env, HOME: '/nonexistent' },
  });

/**
 * Runs that create mount points: of several types, below other mount points, and through a link in
 * the jail.
 */
const RUNS: readonly (readonly string[])[] = [
  [],
  ['--tmpfs', '/cache/a/b', '--dir', '/made/x'],
  ['--ro-bind', '/etc/hostname:/etc/own/name', '--tmpfs', '/cache/c'],
  ['--proc', 'none', '--no-dev', '--ro-bind', '/etc/hostname:/lib/of-a-link'],
];

for (const [who, run] of [
  ['root', asRoot],
  ['a user', asUser],
] as const) {
  describe(`mount points that runs of ${who} create in a jail`, needsRoot('setpriv'), () => {
    const directory = tempDir();
    // Every parent must be searchable.
    chmodSync(directory, 0o755);
    if (run === asUser) chownSync(directory, NOBODY, NOBODY);
    const succeed: Run = (...args) => {
      const finished = run(...args);
      assert.equal(finished.status, 0, `${args.join(' ')}: ${finished.stdout}${finished.stderr}`);
      return finished;
    };

    test('are not exported or reported as foreign, and are removed with the jail', () => {
      const jail = path.join(directory, 'jail');
      succeed(jail, 'true', 'ls', '-q', '--no-sync');
      const archive = (name: string) => {
        const file = path.join(directory, name);
        succeed('export', jail, '--to', `tar:${file}`, '-q');
        return readFileSync(file);
      };
      const before = archive('before.tar');
      for (const options of RUNS) succeed('run', jail, ...options, '--', 'true');
      // Otherwise nothing was created.
      for (const made of ['cache/a/b', 'cache/c', 'made/x', 'etc/own/name', 'proc']) {
        assert.ok(lstatSync(`${jail}/${made}`, { throwIfNoEntry: false }), made);
      }
      assert.ok(before.equals(archive('after.tar')));
      assert.match(succeed('check', jail).stdout, /^Clean: /);
      succeed('remove', jail, '-q');
      assert.ok(!readdirSync(directory).includes('jail'));
    });

    test('are kept once they contain something', () => {
      const jail = path.join(directory, 'used');
      succeed(jail, 'true', '-q', '--no-sync');
      succeed('run', jail, ...['--tmpfs', '/data/one', '--tmpfs', '/data/two', '--', 'true']);
      writeFileSync(`${jail}/data/one/file`, 'mine');
      mkdirSync(`${jail}/own`);
      const file = path.join(directory, 'used.tar');
      succeed('export', jail, '--to', `tar:${file}`, '-q');
      const names = exec('tar', ['-tf', file]).stdout.split('\n');
      for (const name of ['data/', 'data/one/', 'data/one/file', 'own/']) {
        assert.ok(names.includes(name), names.join(' '));
      }
      for (const name of ['data/two/', 'proc/', 'dev/']) assert.ok(!names.includes(name), name);
      succeed('remove', jail, '-q');
      assert.deepEqual(readdirSync(jail).sort(), ['data', 'own']);
      assert.deepEqual(readdirSync(`${jail}/data`), ['one']);
    });
  });
}

test('a run with an overlay records no mount points in the root below', needsRoot(), () => {
  const jail = path.join(tempDir(), 'jail');
  assert.equal(asRoot(jail, 'true', '-q', '--no-sync').status, 0);
  const before = readdirSync(jail).sort();
  const { status, stderr } = asRoot(
    ...['run', jail, '--overlay', 'tmpfs', '--tmpfs', '/a/b', '--', 'true'],
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(readdirSync(jail).sort(), before);
  assert.ok(!readdirSync(`${jail}/.jailbuild`).includes('mount-points'));
});
