import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Sysroot } from '../../src/fs/sysroot.js';
import { readLdSoConf } from '../../src/loader/ld-so-conf.js';
import { JAILBUILD, jailbuild } from '../support/cli.js';
import { makeElf } from '../support/make-elf.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';

const [NEEDED, SONAME, RPATH] = [1, 14, 15];
const EM_X86_64 = 62;

/**
 * Creates a program with a chain of libraries, each of which searches the paths of all before it.
 */
function chain(directory: string, length: number): string {
  const name = (index: number) => `lib${index}.so`;
  const made = (dynamic: readonly (readonly [number, string])[], interpreter?: string) =>
    makeElf({
      type: 3,
      machine: EM_X86_64,
      dynamic,
      ...(interpreter === undefined ? {} : { interpreter }),
    }).bytes;
  for (let index = 0; index < length; index++) {
    const next = index + 1 < length ? [[NEEDED, name(index + 1)] as const] : [];
    writeFileSync(path.join(directory, name(index)), made([[SONAME, name(index)], ...next]));
  }
  const program = path.join(directory, 'program');
  const dynamic = [[NEEDED, name(0)] as const, [RPATH, directory] as const];
  writeFileSync(program, made(dynamic, '/lib64/ld-linux-x86-64.so.2'), { mode: 0o755 });
  return program;
}

test('a signal ends a resolution immediately, and leaves no files', async () => {
  const directory = tempDir();
  const libraries = path.join(directory, 'lib');
  mkdirSync(libraries);
  const program = chain(libraries, 6000);
  const work = path.join(directory, 'work');
  mkdirSync(work);
  const commands: readonly (readonly string[])[] = [
    ['jail', program, '--manifest', 'manifest.json'],
    ['jail', program, '--dry-run', '--manifest', 'manifest.json'],
    ['export', program, '--to', 'tar:tree.tar'],
    ['tree', program],
  ];
  for (const words of commands) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const child = spawn(process.execPath, [JAILBUILD, ...words], { cwd: work, stdio: 'ignore' });
      const ended = once(child, 'exit');
      // While it reads the libraries: its start takes far fewer calls of read(2).
      await until(() => readsOf(child.pid) > 1000 || child.exitCode !== null, 'it reads libraries');
      assert.equal(child.exitCode, null, `${words.join(' ')}: ended before the signal`);
      child.kill(signal);
      // Waiting for the event loop would end with a status instead.
      assert.deepEqual(await ended, [null, signal]);
      assert.deepEqual(readdirSync(work), []);
    }
  }
});

/** Returns how often a process has called read(2) and its relatives; 0 if it has ended. */
function readsOf(pid: number | undefined): number {
  try {
    return Number(/^syscr: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}

/** Creates a directory in which links to itself double every level. */
function endless(directory: string): string {
  const root = path.join(directory, 'root');
  mkdirSync(path.join(root, 'etc/d'), { recursive: true });
  symlinkSync('.', path.join(root, 'etc/d/one'));
  symlinkSync('.', path.join(root, 'etc/d/other'));
  writeFileSync(path.join(root, 'etc/d/x.conf'), '/lib/x\n');
  return root;
}

test('a pattern over links that lead upwards is bounded', () => {
  const directory = tempDir();
  const root = endless(directory);
  const conf = path.join(root, 'etc/ld.so.conf');
  writeFileSync(conf, `include /etc/d/${'*/'.repeat(22)}*.conf\n`);
  assert.throws(() => readLdSoConf(new Sysroot(root)), {
    code: 'MALFORMED_CONF',
    message: /matches more than 10000 paths/,
  });
  writeFileSync(conf, 'include /etc/d/*/*/*.conf\n');
  assert.deepEqual(readLdSoConf(new Sysroot(root)), ['/lib/x']);

  const pattern = `${root}/etc/d/${'*/'.repeat(22)}*.conf`;
  const { status, stderr } = jailbuild([
    path.join(directory, 'jail'),
    'true',
    '--include',
    pattern,
  ]);
  assert.notEqual(status, 0);
  assert.match(stderr, /matches more than 100000 paths/);
});

test('endless input is refused, and no output line is too long for a terminal', () => {
  const cwd = tempDir();
  const registry = ['tree', 'true', '--sysroot', 'docker://localhost:1/x'];
  for (const [expected, ...words] of [
    [1, '--file', '/dev/zero'],
    [1, 'jail', '--from', '/dev/zero'],
    [1, ...registry, '--registry-ca', '/dev/zero'],
    [2, 'run', cwd, '--args', '/dev/zero'],
  ] as const) {
    const { status, stderr } = jailbuild(words, { cwd });
    assert.equal(status, expected, stderr);
    const line = /^jailbuild: (--[a-z-]+ )?\/dev\/zero: is larger than \d+ bytes( \(see .*\))?\n$/;
    assert.match(stderr, line);
  }
  const { stderr } = jailbuild(['tree', 'x'.repeat(100_000)]);
  assert.ok(stderr.length < 5000, `${stderr.length}`);
});
