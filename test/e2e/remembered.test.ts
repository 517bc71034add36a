import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { makeSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';

describe('a second new jail of the same request', needsRoot('strace'), async () => {
  const directory = tempDir();
  const host = makeSysroot(directory, 'ls', 'true');
  const cache = path.join(directory, 'cache');
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  const kept = path.join(cache, 'jailbuild/resolutions');
  // Files changed just now could change again without getting another time.
  await new Promise((resolve) => setTimeout(resolve, 2100));
  let count = 0;

  /**
   * Builds a jail, and returns it with whether the loader was searched for its built-in paths, as in each
   * resolution, rather than only copied.
   */
  const build = (...options: readonly string[]) => {
    const jail = path.join(directory, `jail${count++}`);
    const log = path.join(directory, 'log');
    const words = [jail, 'ls', '--sysroot', host, '-q', ...options];
    const call = ['-f', '-y', '-qq', '-o', log, '-e', 'trace=open,openat,openat2'];
    const result = exec('strace', [...call, process.execPath, JAILBUILD, ...words], { env });
    assert.equal(result.status, 0, result.stderr);
    const opens = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`<${host}/`) && /\/ld-[^/]*>$/.test(line));
    // The writer opens it once.
    return { jail, isResolved: opens.length > 1 };
  };
  const files = () => readdirSync(kept).map((name) => path.join(kept, name));

  beforeEach(() => rmSync(cache, { recursive: true, force: true }));

  test('is made without resolving, and is identical', () => {
    const first = build();
    const second = build();
    assert.deepEqual([first.isResolved, second.isResolved], [true, false]);
    succeed('diff', ['-r', '--no-dereference', '--exclude=fingerprint', first.jail, second.jail]);
    const record = (jail: string) => readFileSync(`${jail}/.jailbuild/record.json`, 'utf8');
    assert.equal(record(second.jail), record(first.jail));
    assert.match(jailbuild(['check', second.jail]).stdout, /^Clean/);
    assert.match(jailbuild(['update', second.jail]).stdout, /^Up to date/);
    const [file = ''] = files();
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('is resolved with --no-cache, which stores nothing', () => {
    build('--no-cache');
    assert.throws(files, { code: 'ENOENT' });
    build();
    assert.equal(build('--no-cache').isResolved, true);
  });

  test('is resolved for another request', () => {
    build();
    assert.equal(build('--nss', 'none').isResolved, true);
  });

  for (const { title, harm } of [
    {
      title: 'a flipped bit',
      harm: (file: string) => {
        const bytes = readFileSync(file);
        const middle = bytes.length >> 1;
        bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
        writeFileSync(file, bytes);
      },
    },
    {
      title: 'only half of the file',
      harm: (file: string) => {
        writeFileSync(file, readFileSync(file).subarray(0, 1000));
      },
    },
    { title: 'a file that others may write', harm: (file: string) => chmodSync(file, 0o644) },
    {
      title: 'a directory that others may write',
      harm: (file: string) => chmodSync(path.dirname(file), 0o777),
    },
  ]) {
    test(`is resolved if the cache has ${title}`, () => {
      build();
      for (const file of files()) harm(file);
      assert.equal(build().isResolved, true);
    });
  }

  test('is verified as usual if the jail lacks planned files', () => {
    build();
    const jail = path.join(directory, `jail${count++}`);
    mkdirSync(`${jail}/usr/bin`, { recursive: true });
    writeFileSync(`${jail}/usr/bin/ls`, 'mine');
    const { status } = jailbuild([jail, 'ls', '--sysroot', host, '--no-clobber'], { env });
    assert.equal(status, 1);
    assert.equal(readFileSync(`${jail}/usr/bin/ls`, 'utf8'), 'mine');
  });

  test('discards the oldest stored result', () => {
    build();
    for (let index = 0; index < 70; index++) writeFileSync(`${kept}/${index}`, '');
    build('--nss', 'none');
    assert.ok(files().length < 64, String(files().length));
  });

  test('is resolved if the advice would differ', () => {
    build();
    mkdirSync(`${host}/etc`, { recursive: true });
    writeFileSync(`${host}/etc/passwd`, 'ls:x:100:100::/nonexistent:/bin/sh\n');
    const jail = path.join(directory, `jail${count++}`);
    const { stdout } = jailbuild([jail, 'ls', '--sysroot', host, '--json'], { env });
    rmSync(`${host}/etc/passwd`);
    assert.match(stdout, /"--user","ls"/);
  });

  test('is resolved if another program comes first on PATH now', () => {
    build();
    mkdirSync(`${host}/usr/local/bin`, { recursive: true });
    copyFileSync(`${host}/usr/bin/true`, `${host}/usr/local/bin/ls`);
    const { jail } = build();
    rmSync(`${host}/usr/local`, { recursive: true });
    assert.ok(existsSync(`${jail}/usr/local/bin/ls`));
  });

  test('is resolved if a file was replaced by one with the same size and time', () => {
    build();
    const program = `${host}/usr/bin/ls`;
    const { mtime } = statSync(program);
    copyFileSync(program, `${program}.new`);
    renameSync(`${program}.new`, program);
    exec('touch', ['-d', mtime.toISOString(), program]);
    assert.equal(build().isResolved, true);
  });
});
