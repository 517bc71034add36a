import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { DirectoryView } from '../../src/fs/file-view.js';
import { Sysroot } from '../../src/fs/sysroot.js';
import { planRequest } from '../../src/plan/resolve-request.js';
import { verifyInSteps } from '../../src/plan/verify.js';
import { inTurns, type Steps } from '../../src/resolve/steps.js';
import { JAILBUILD, jailbuild } from '../support/cli.js';
import { onPath } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const FRONT = path.join(path.dirname(JAILBUILD), 'jailbuild');

/** Programs of some kinds, many of which are on every system. */
function manyPrograms(): string[] {
  const names = readdirSync('/usr/bin').filter((name) => /^[a-z]{2,8}$/.test(name));
  return names.filter((name) => onPath(name)).slice(0, 300);
}

test('work in turns ends at a signal, long before its own end', async () => {
  const ended = new AbortController();
  let done = 0;
  function* endless(): Steps<never> {
    for (;;) {
      done++;
      yield;
    }
  }
  setTimeout(() => ended.abort(), 60);
  await assert.rejects(inTurns(endless(), ended.signal), { name: 'AbortError' });
  assert.ok(done > 1);
});

test('a verification has a step for each program', async () => {
  const programs = ['/bin/ls', '/bin/cat', '/bin/sh'];
  const { manifest } = await planRequest({ programs, path: ['/bin'] }, false);
  const root = new Sysroot(new DirectoryView('/'));
  const steps = verifyInSteps(manifest, root, { where: 'here' });
  let count = 0;
  while (!steps.next().done) count++;
  assert.ok(count >= programs.length, `${count} steps`);
});

/** Waits until something is so, and fails if the process has ended before. */
async function waitFor(isSo: () => boolean, child: { exitCode: number | null }): Promise<boolean> {
  while (!isSo()) {
    if (child.exitCode !== null) return false;
    await pause(1);
  }
  return child.exitCode === null;
}

describe('a signal while a jail is verified that was just written', () => {
  const directory = tempDir();
  const programs = manyPrograms();
  const commands: readonly (readonly [string, string, readonly string[]])[] = [
    ['the script', process.execPath, [JAILBUILD]],
    ['the native front', FRONT, []],
  ];
  for (const [name, file, first] of commands) {
    test(`${name}: a new jail does not appear, nor does anything stay beside it`, async () => {
      const place = path.join(directory, name);
      mkdirSync(place);
      for (const delay of [0, 30]) {
        const args = [
          ...first,
          `${place}/jail`,
          ...programs,
          '-q',
          '--no-cache',
          '--allow-missing',
        ];
        const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
        let stderr = '';
        child.stderr.on('data', (bytes) => {
          stderr += bytes;
        });
        const ended = once(child, 'close');
        const record = `${place}/.jail.jailbuild/.jailbuild/record.json`;
        const isThere = await waitFor(() => existsSync(record), child);
        await pause(delay);
        child.kill('SIGTERM');
        const [status] = await ended;
        // A build that ended before the signal is whole, even if the signal then ended its process.
        if (existsSync(`${place}/jail`)) {
          assert.ok(status === 0 || status === null, `${status}: ${stderr}`);
          const checked = jailbuild(['check', `${place}/jail`]);
          assert.equal(checked.status, 0, checked.stdout + checked.stderr);
          assert.equal(jailbuild(['remove', `${place}/jail`, '-q', '--changed']).status, 0);
          continue;
        }
        assert.ok(isThere, stderr);
        assert.equal(status, 143, stderr);
        assert.match(stderr, /^jailbuild: ended by SIGTERM, nothing was changed$/m);
        assert.deepEqual(readdirSync(place), []);
      }
    });
  }

  test('a jail that was extended says that it is not verified, and is whole', async () => {
    const jail = path.join(directory, 'extended');
    assert.equal(jailbuild([jail, 'ls', '-q']).status, 0);
    const record = `${jail}/.jailbuild/record.json`;
    const before = statSync(record).ino;
    const args = [JAILBUILD, jail, ...programs, '-q', '--no-cache', '--allow-missing'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (bytes) => {
      stderr += bytes;
    });
    const ended = once(child, 'close');
    await waitFor(() => statSync(record).ino !== before && !existsSync(`${record}.new`), child);
    child.kill('SIGINT');
    const [status] = await ended;
    if (status !== 0) {
      assert.equal(status, 130, stderr);
      assert.match(stderr, /extended: is written, but a signal ended its verification/);
    }
    const { status: clean, stdout } = jailbuild(['check', jail]);
    assert.equal(clean, 0, stdout);
  });
});
