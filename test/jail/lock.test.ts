import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { NodeEngine } from '../../src/jail/engine/node.js';
import { openNativeEngine } from '../../src/jail/engine/open.js';
import { lockJail } from '../../src/jail/lock.js';
import { writeJail } from '../../src/jail/write/write.js';
import { JAILBUILD, jailbuild, PROJECT } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { manifestOf, scratch } from './support.js';

function makeHost(t: TestContext): string {
  const host = scratch(t);
  mkdirSync(`${host}/bin`);
  writeFileSync(`${host}/bin/ls`, 'ls');
  return host;
}

/** Starts a process that locks a directory and reports it. */
async function startHolder(t: TestContext, base: string, name: string): Promise<ChildProcess> {
  const script = `
    const { openEngine } = await import('${PROJECT}/src/jail/engine/open.ts');
    const engine = await openEngine(${JSON.stringify(base)}, '/');
    await engine.run([{ op: 'lock', path: ${JSON.stringify(name)}, wait: false }]);
    process.stdout.write('locked');
    setInterval(() => {}, 1000);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const holder = spawn(process.execPath, args, {
    cwd: PROJECT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => holder.kill('SIGKILL'));
  await new Promise((resolve, reject) => {
    holder.stdout?.once('data', resolve);
    holder.once('exit', () => reject(new Error('ended before it had the lock')));
  });
  return holder;
}

describe('two builds of one jail', () => {
  test('the second fails or waits, with one line of output', async (t) => {
    const host = makeHost(t);
    const jail = scratch(t);
    const lock = await lockJail(jail);
    await assert.rejects(writeJail(manifestOf(host), jail, { sourceRoot: host }), {
      code: 'TARGET_BUSY',
      message: `${jail}: another build is running there: use --wait to wait for it`,
    });
    assert.deepEqual(readdirSync(jail), ['.jailbuild']);
    let waited = 0;
    const waiting = writeJail(manifestOf(host), jail, {
      sourceRoot: host,
      wait: true,
      onWait: () => {
        waited++;
        void lock.release();
      },
    });
    await waiting;
    assert.equal(waited, 1);
    assert.deepEqual(readdirSync(jail), ['bin']);
  });

  test('a waiting build can be interrupted', async (t) => {
    const host = makeHost(t);
    const jail = scratch(t);
    const lock = await lockJail(jail);
    t.after(() => lock.release());
    const stop = new AbortController();
    const reason = new Error('stopped');
    const waiting = writeJail(manifestOf(host), jail, {
      sourceRoot: host,
      wait: true,
      onWait: () => setTimeout(() => stop.abort(reason), 20),
      signal: stop.signal,
    });
    await assert.rejects(waiting, reason);
  });

  test('a write that is given the lock does not take another', async (t) => {
    const host = makeHost(t);
    const jail = scratch(t);
    const lock = await lockJail(jail, { sourceRoot: host });
    await writeJail(manifestOf(host), jail, { sourceRoot: host, lock });
    assert.equal(readFileSync(`${jail}/bin/ls`, 'utf8'), 'ls');
    await lock.release();
    assert.deepEqual(readdirSync(jail), ['bin']);
  });

  test('the lock ends with its owner', async (t) => {
    const host = makeHost(t);
    const parent = scratch(t);
    mkdirSync(`${parent}/old`);
    for (const [base, name, jail] of [
      [`${parent}/old`, '.jailbuild', `${parent}/old`],
      [parent, '.new.jailbuild', `${parent}/new`],
    ] as const) {
      const holder = await startHolder(t, base, name);
      const write = () => writeJail(manifestOf(host), jail, { sourceRoot: host });
      await assert.rejects(write(), { code: 'TARGET_BUSY' });
      const ended = new Promise((resolve) => holder.once('exit', resolve));
      holder.kill('SIGKILL');
      await ended;
      await writeJail(manifestOf(host), jail, { sourceRoot: host, wait: true });
      assert.equal(readFileSync(`${jail}/bin/ls`, 'utf8'), 'ls');
    }
    assert.deepEqual(readdirSync(parent).sort(), ['new', 'old']);
  });

  test('many builds at once from the command line all succeed', needsRoot(), async (t) => {
    const parent = scratch(t);
    const jail = `${parent}/a/jail`;
    const builds = ['ls', 'cat', 'env', 'id'].map(
      (program) =>
        new Promise<{ status: number | null; stderr: string }>((resolve) => {
          const build = spawn(process.execPath, [JAILBUILD, jail, program, '--wait', '-q'], {
            stdio: ['ignore', 'ignore', 'pipe'],
          });
          let stderr = '';
          build.stderr.on('data', (text) => {
            stderr += text;
          });
          build.once('close', (status) => resolve({ status, stderr }));
        }),
    );
    for (const { status, stderr } of await Promise.all(builds)) {
      assert.equal(status, 0, stderr);
      assert.match(stderr, /^(jailbuild: warning: waiting for another build in [^\n]+\n)*$/);
    }
    for (const program of ['ls', 'cat', 'env', 'id']) {
      assert.ok(lstatSync(`${jail}/usr/bin/${program}`).isFile());
    }
    assert.deepEqual(readdirSync(path.dirname(jail)), ['jail']);
    assert.equal(jailbuild([jail, 'ls', 'cat', 'env', 'id', '-q']).status, 0);
  });

  test('the JavaScript engine has its own lock', async (t) => {
    const base = scratch(t);
    const lock = { op: 'lock', path: 'dir', wait: false } as const;
    const [first, second] = [new NodeEngine(base, '/'), new NodeEngine(base, '/')];
    await first.run([lock]);
    await assert.rejects(second.run([lock]), { errno: 'EAGAIN' });
    setTimeout(() => void first.close(), 20);
    await second.run([{ ...lock, wait: true }]);
    await second.close();
  });

  test(
    'a directory that others make and remove meanwhile can be locked',
    needs('perl'),
    async (t) => {
      const base = scratch(t);
      const script =
        'for (1 .. 4000) { for (1 .. 20) { mkdir "dir"; rmdir "dir" } select undef, undef, undef, 0.001 } mkdir "end"';
      const other = spawn('perl', ['-e', script], { cwd: base, stdio: 'ignore' });
      t.after(() => other.kill('SIGKILL'));
      let rounds = 0;
      for (; rounds < 40 && !existsSync(`${base}/end`); rounds++) {
        const engine = await openNativeEngine(base, '/');
        assert.ok(engine);
        await engine.run([{ op: 'lock', path: 'dir', wait: false }]);
        await engine.close();
      }
      assert.ok(rounds > 0);
      const ended = once(other, 'exit');
      other.kill('SIGKILL');
      await ended;
    },
  );

  test('a lock on a directory removed meanwhile is replaced by one on the new directory', async (t) => {
    const base = scratch(t);
    const open = async () => {
      const engine = await openNativeEngine(base, '/');
      assert.ok(engine);
      return engine;
    };
    const [first, second, third] = [await open(), await open(), await open()];
    const lock = { op: 'lock', path: 'dir', wait: false } as const;
    await first.run([lock]);
    const waiting = second.run([{ ...lock, wait: true }]);
    await first.run([{ op: 'rename', path: 'dir', to: 'elsewhere' }]);
    await first.close();
    await waiting;
    await assert.rejects(third.run([lock]), { errno: 'EAGAIN' });
    await second.close();
    await third.close();
    assert.deepEqual(readdirSync(base).sort(), ['dir', 'elsewhere']);
  });
});
