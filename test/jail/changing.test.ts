import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { JailView } from '../../src/jail/record/owned-entries.js';
import { jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

/** How long each command runs on a changing jail, in milliseconds. */
const DURATION = 3000;

/** Replaces files and directories of a jail by other things, and puts them back. */
const DISTURB = `
const fs = require('node:fs');
const [root] = process.argv.slice(1);
const all = fs.readdirSync(root, { recursive: true }).filter((name) => !name.startsWith('.jailbuild'));
let seed = 1;
const below = (most) => (seed = (seed * 48271) % 2147483647) % most;
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
const others = [
  () => {},
  (at) => fs.mkdirSync(at),
  (at) => fs.writeFileSync(at, '\\x7fELF'.padEnd(below(300), '\\x01')),
  (at) => fs.symlinkSync(['/', '..', 'loop', '/etc/passwd', '/nowhere'][below(5)], at),
];
console.log('begun');
for (;;) {
  const at = root + '/' + all[below(all.length)];
  try {
    fs.renameSync(at, at + '~');
    others[below(others.length)](at);
    pause();
    fs.rmSync(at, { recursive: true, force: true });
    fs.renameSync(at + '~', at);
  } catch {}
}
`;

describe('a jail that changes during a command', () => {
  const disturbers: ChildProcess[] = [];
  after(() => {
    for (const child of disturbers) child.kill('SIGKILL');
  });
  const directory = tempDir();
  const pristine = path.join(directory, 'pristine');
  const build = ['bash', 'ls', '--no-sync'];

  test('files in a directory that was replaced by a file or a link are not visible', () => {
    const root = path.join(directory, 'view');
    for (const name of ['one', 'two']) {
      mkdirSync(`${root}/${name}`, { recursive: true });
      writeFileSync(`${root}/${name}/a`, '');
      writeFileSync(`${root}/${name}/b`, '');
    }
    const view = new JailView(root, false);
    assert.ok(view.lstat('/one/a'));
    assert.ok(view.lstat('/two/a'));
    rmSync(`${root}/one`, { recursive: true });
    writeFileSync(`${root}/one`, '');
    rmSync(`${root}/two`, { recursive: true });
    symlinkSync('/usr', `${root}/two`);
    assert.equal(view.lstat('/one/b'), undefined);
    assert.equal(view.lstat('/two/bin'), undefined);
    assert.equal(view.names('/two'), undefined);
  });

  for (const [name, words] of [
    ['build', (jail: string) => [jail, ...build, '-q']],
    ['update', (jail: string) => ['update', jail, '--no-sync', '-q']],
    ['check', (jail: string) => ['check', jail, '-q']],
    ['export', (jail: string) => ['export', jail, '--to', 'tar:/dev/null', '-q']],
  ] as const) {
    test(`${name} succeeds, or fails with one error and its code`, async (t) => {
      if (lstatSync(pristine, { throwIfNoEntry: false }) === undefined) {
        assert.equal(jailbuild([pristine, ...build, '-q']).status, 0);
      }
      const jail = path.join(directory, name);
      cpSync(pristine, jail, { recursive: true, verbatimSymlinks: true });
      const child = spawn(process.execPath, ['-e', DISTURB, jail], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      disturbers.push(child);
      await once(child.stdout, 'data');
      const end = Date.now() + DURATION;
      let [tries, refused] = [0, 0];
      while (Date.now() < end || tries < 3) {
        const { status, stderr } = jailbuild(words(jail));
        tries++;
        assert.doesNotMatch(stderr, /defect/);
        if (status !== 1) continue;
        refused++;
        assert.equal(
          stderr.split('\n').filter((line) => !/^jailbuild: warning: |^$/.test(line)).length,
          1,
          stderr,
        );
      }
      child.kill('SIGKILL');
      t.diagnostic(`${refused} of ${tries} were refused`);
    });
  }
});
