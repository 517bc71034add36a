import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { exec, JAILBUILD, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { makeSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';

describe('files that an earlier run has read', needs('strace'), async () => {
  const directory = tempDir();
  const host = makeSysroot(directory, 'ls', 'bash', 'env');
  const cache = path.join(directory, 'cache');
  const kept = path.join(cache, 'jailbuild/facts');
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  // What changed a moment ago is not kept.
  await new Promise((resolve) => setTimeout(resolve, 2100));
  beforeEach(() => rmSync(cache, { recursive: true, force: true }));

  /** Runs a command, and returns its output with the files of the root that it opened. */
  const run = (...words: readonly string[]) => {
    const log = path.join(directory, 'log');
    const call = ['-f', '-y', '-qq', '-o', log, '-e', 'trace=open,openat,openat2'];
    const command = [process.execPath, JAILBUILD, ...words, '--sysroot', host];
    const { status, stdout, stderr } = exec('strace', [...call, ...command], { env });
    assert.equal(status, 0, stderr);
    const opened = [...readFileSync(log, 'utf8').matchAll(/= \d+<([^>]*)>$/gm)]
      .map(([, file = '']) => file)
      .filter((file) => file.startsWith(`${host}/`) && /\.so|\/bin\//.test(file))
      // The paths in the loader are read in any case, as its cache is.
      .filter((file) => !/\/ld[-.]/.test(file));
    return { stdout, stderr, opened: new Set(opened) };
  };

  test('are not opened again, and give the same trees', () => {
    for (const words of [
      ['tree', 'ls', 'bash'],
      ['tree', 'ls', 'bash', '--json'],
    ]) {
      rmSync(cache, { recursive: true, force: true });
      const first = run(...words);
      const again = run(...words);
      const anew = run(...words, '--no-cache');
      assert.ok(first.opened.has(`${host}/usr/bin/ls`), [...first.opened].join(' '));
      assert.deepEqual([...again.opened], []);
      assert.deepEqual(anew.opened, first.opened);
      assert.deepEqual([again.stdout, again.stderr], [first.stdout, first.stderr]);
      assert.deepEqual([anew.stdout, anew.stderr], [first.stdout, first.stderr]);
    }
  });

  test('give other requests the same plan and the same jail', () => {
    run('tree', 'ls', 'bash', 'env');
    const words = [`${directory}/new`, 'ls', 'env', '--dry-run', '--json'];
    assert.equal(run(...words).stdout, run(...words, '--no-cache').stdout);
    const [one, other] = ['one', 'other'].map((name) => path.join(directory, name));
    run(one ?? '', 'ls', 'env', '-q');
    run(other ?? '', 'ls', 'env', '-q', '--no-cache');
    succeed('diff', ['-r', '--no-dereference', '--exclude=fingerprint', one ?? '', other ?? '']);
    const record = (jail = '') => readFileSync(`${jail}/.jailbuild/record.json`, 'utf8');
    assert.equal(record(one), record(other));
  });

  test('are readable only by their owner, and not stored with --no-cache', () => {
    for (const words of [
      ['tree', 'ls'],
      ['why', 'ls', 'libc.so.6'],
      ['export', 'ls', '--to', `tar:${directory}/ls.tar`],
      [`${directory}/new`, 'ls', '--dry-run'],
    ]) {
      run(...words, '--no-cache');
      assert.ok(!existsSync(kept), words.join(' '));
      run(...words);
      const [file = ''] = readdirSync(kept);
      assert.equal(statSync(path.join(kept, file)).mode & 0o777, 0o600, words.join(' '));
      rmSync(cache, { recursive: true });
    }
  });

  test('are read again if they have changed, whatever their size and time', () => {
    const words = ['tree', 'ls', '--allow-missing'];
    const before = run(...words).stdout;
    const library = `${host}/usr/lib/x86_64-linux-gnu/libselinux.so.1`;
    const program = `${host}/usr/bin/ls`;
    const { atime, mtime } = statSync(program);
    const bytes = readFileSync(program);
    const name = bytes.indexOf('libselinux.so.1\0');
    assert.ok(existsSync(library) && name > 0);
    const changed = Buffer.from(bytes);
    changed.write('libc.so.6\0', name);
    writeFileSync(program, changed);
    utimesSync(program, atime, mtime);
    const { stdout, opened } = run(...words);
    writeFileSync(program, bytes);
    utimesSync(program, atime, mtime);
    assert.deepEqual([...opened], [program]);
    assert.doesNotMatch(stdout, /libselinux.so.1 =>/);
    assert.equal(run(...words).stdout, before);
  });

  for (const [title, harm] of [
    ['is damaged', (file: string) => writeFileSync(file, readFileSync(file).fill(7, 8, 40))],
    ['is cut', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 300))],
    ['is empty', (file: string) => writeFileSync(file, '')],
    ['is open to others', (file: string) => chmodSync(file, 0o666)],
    ['lies open to others', (file: string) => chmodSync(path.dirname(file), 0o777)],
  ] as const) {
    test(`are read again where the cache ${title}`, () => {
      const first = run('tree', 'bash');
      harm(path.join(kept, readdirSync(kept)[0] ?? ''));
      const again = run('tree', 'bash');
      assert.deepEqual(again.opened, first.opened);
      assert.deepEqual([again.stdout, again.stderr], [first.stdout, first.stderr]);
    });
  }
});
