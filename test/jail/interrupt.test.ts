import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { DirectoryView } from '../../src/fs/file-view.js';
import { Sysroot } from '../../src/fs/sysroot.js';
import { inTurns, type Steps, takeSignals } from '../../src/manifest/steps.js';
import { planRequest } from '../../src/plan/resolve-request.js';
import { verifyInSteps } from '../../src/plan/verify.js';
import { JAILBUILD, jailbuild } from '../support/cli.js';
import { type ElfParts, makeElf } from '../support/make-elf.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const FRONT = path.join(path.dirname(JAILBUILD), 'jailbuild');
const COMMANDS: readonly (readonly [name: string, command: readonly string[]])[] = [
  ['the script', [process.execPath, JAILBUILD]],
  ['the native front', [FRONT]],
];

test('work in turns ends soon after a signal', async () => {
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

test('a signal that arrives after the event loop polled is handled', async () => {
  const ended = new AbortController();
  process.once('SIGWINCH', () => ended.abort());
  // From here on the event loop has polled.
  await readFile(import.meta.filename);
  process.kill(process.pid, 'SIGWINCH');
  await assert.rejects(takeSignals(ended.signal), { name: 'AbortError' });
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

const MANY = 300;

/** Makes a root file system with one program that needs many libraries. */
function makeManyLibraries(root: string): void {
  for (const name of ['lib64', 'usr/bin', 'usr/lib', 'etc'])
    mkdirSync(path.join(root, name), { recursive: true });
  const write = (file: string, parts: ElfParts): void =>
    writeFileSync(path.join(root, file), makeElf({ machine: 62, ...parts }).bytes, { mode: 0o755 });
  const names = Array.from({ length: MANY }, (_, index) => `libmany${index}.so`);
  const loader = 'ld-linux-x86-64.so.2';
  write(`lib64/${loader}`, { type: 3, dynamic: [[14, loader]] });
  for (const name of names) write(`usr/lib/${name}`, { type: 3, dynamic: [[14, name]] });
  write('usr/bin/many', {
    type: 2,
    interpreter: `/lib64/${loader}`,
    dynamic: names.map((name) => [1, name] as const),
  });
}

/** Signals this process while it examines one of the libraries, and lets the turn end. */
class SignalledView extends DirectoryView {
  examined = 0;

  override lstat(file: string) {
    if (file.includes('libmany') && ++this.examined === 10) {
      process.kill(process.pid, 'SIGWINCH');
      const until = performance.now() + 50;
      while (performance.now() < until);
    }
    return super.lstat(file);
  }
}

test('a signal ends a verification between two libraries of one program', async () => {
  const sysroot = tempDir();
  makeManyLibraries(sysroot);
  const { manifest } = await planRequest({ programs: ['/usr/bin/many'], sysroot }, false);
  const ended = new AbortController();
  process.once('SIGWINCH', () => ended.abort());
  const view = new SignalledView(sysroot);
  const steps = verifyInSteps(manifest, new Sysroot(view), { where: 'here' });
  await assert.rejects(inTurns(steps, ended.signal), { name: 'AbortError' });
  // One more may have been examined before the turn ended.
  assert.ok(view.examined >= 10 && view.examined <= 12, `${view.examined} libraries were examined`);
});

/** A command stopped when it first examines one of some paths. */
interface Held {
  /** The process that a user would signal. */
  readonly first: number;
  /** The process that examined the path. */
  readonly stopped: number;
  /** Continues the command and waits for its end. */
  readonly end: () => Promise<{ readonly status: number; readonly stderr: string }>;
}

async function holdAt(
  t: TestContext,
  paths: readonly string[],
  command: readonly string[],
  log: string,
): Promise<Held> {
  const child = spawn(
    'strace',
    [
      ...['-f', '-o', log, '-e', 'trace=statx', '-e', 'inject=statx:signal=STOP:when=1'],
      ...paths.flatMap((name) => ['-P', name]),
      ...command,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const stderr = textOf(child);
  const ended = once(child, 'close');
  const stopped = await waitFor(child, () => {
    const text = existsSync(log) ? readFileSync(log, 'latin1') : '';
    return /^(\d+) +--- stopped by SIGSTOP ---$/m.exec(text)?.[1];
  });
  assert.ok(
    stopped !== undefined,
    `${command.join(' ')} ended before it could be stopped: ${stderr()}`,
  );
  t.after(() => {
    if (child.exitCode === null) process.kill(Number(stopped), 'SIGKILL');
  });
  const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').split(
    ' ',
  );
  return {
    first: Number(first),
    stopped: Number(stopped),
    end: async () => {
      process.kill(Number(stopped), 'SIGCONT');
      const [status] = await ended;
      return { status, stderr: stderr() };
    },
  };
}

/** Signals the first process, and waits until the signal is pending in the stopped one. */
async function signalHeld({ first, stopped }: Held, name: 'SIGTERM' | 'SIGINT'): Promise<void> {
  const bit = 1n << BigInt(name === 'SIGTERM' ? 14 : 1);
  process.kill(first, name);
  for (;;) {
    const status = readFileSync(`/proc/${stopped}/status`, 'latin1');
    const pending = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    if ((BigInt(`0x${pending}`) & bit) !== 0n) break;
    await pause(1);
  }
  // Makes the next step of the verification yield to the event loop.
  await pause(50);
}

function textOf(child: ChildProcessByStdio<null, null, Readable>): () => string {
  let text = '';
  child.stderr.on('data', (bytes) => {
    text += bytes;
  });
  return () => text;
}

/** Returns the result of `find`, or undefined if the process ends first. */
async function waitFor<T>(
  child: { readonly exitCode: number | null },
  find: () => T | undefined,
): Promise<T | undefined> {
  for (;;) {
    const { exitCode } = child;
    const found = find();
    if (found !== undefined || exitCode !== null) return found;
    await pause(1);
  }
}

// A lost signal would make the test wait forever.
const BOUNDED = { ...needs('strace'), timeout: 900_000 };

describe('a signal while a new or extended jail is verified', BOUNDED, () => {
  const directory = tempDir();
  for (const [name, command] of COMMANDS) {
    test(`${name}: no new jail or temporary file is left`, async (t) => {
      const place = path.join(directory, name);
      mkdirSync(place);
      const held = await holdAt(
        t,
        [`${place}/.jail.jailbuild/usr/bin`],
        [...command, `${place}/jail`, ...['ls', 'cat', 'sh'], '-q', '--no-cache'],
        path.join(directory, `${name}.log`),
      );
      assert.ok(existsSync(`${place}/.jail.jailbuild/usr/bin/ls`));
      await signalHeld(held, 'SIGTERM');
      const { status, stderr } = await held.end();
      assert.equal(status, 143, stderr);
      assert.match(stderr, /^jailbuild: ended by SIGTERM, nothing was changed$/m);
      assert.deepEqual(readdirSync(place), []);
    });

    test(`${name}: an extended jail is complete, and reported as not verified`, async (t) => {
      const place = path.join(directory, `${name}, extended`);
      const [jail, tools] = [path.join(place, 'jail'), path.join(place, 'tools')];
      mkdirSync(tools, { recursive: true });
      for (const tool of ['cat', 'ls']) copyFileSync(`/bin/${tool}`, `${tools}/${tool}`);
      assert.equal(jailbuild([jail, 'ls', '-q']).status, 0);
      const record = `${jail}/.jailbuild/record.json`;
      const before = statSync(record).ino;
      // New files in the jail are first examined by the verification, through a descriptor.
      const paths = Array.from(
        { length: 64 },
        (_, fd) => `/proc/self/fd/${fd}/${path.basename(directory)}`,
      );
      const held = await holdAt(
        t,
        paths,
        [...command, jail, `${tools}/cat`, `${tools}/ls`, '-q', '--no-cache'],
        path.join(directory, `${name}, extended.log`),
      );
      assert.notEqual(statSync(record).ino, before);
      await signalHeld(held, 'SIGINT');
      const { status, stderr } = await held.end();
      assert.equal(status, 130, stderr);
      assert.match(stderr, /jail: is written, but a signal ended its verification/);
      const { status: clean, stdout } = jailbuild(['check', jail]);
      assert.equal(clean, 0, stdout);
    });
  }
});
