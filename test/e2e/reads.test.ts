import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Returns what the command line did with files, by their real paths. */
interface Access {
  readonly opens: ReadonlyMap<string, number>;
  /** Bytes read by pread64(2), which only jailbuild's reader uses. */
  readonly bytes: ReadonlyMap<string, number>;
}

function traced(...args: readonly string[]): Access {
  return tracedIn({}, ...args);
}

/** As {@link traced}, with further variables. */
function tracedIn(variables: Readonly<Record<string, string>>, ...args: readonly string[]): Access {
  const log = path.join(tempDir(), 'strace');
  const command = ['-f', '-y', '-e', 'trace=openat,pread64', '-o', log, process.execPath];
  const { status, stderr } = exec('strace', [...command, JAILBUILD, ...args], {
    env: { ...process.env, ...variables },
  });
  assert.equal(status, 0, stderr);
  const opens = new Map<string, number>();
  const bytes = new Map<string, number>();
  const add = (map: Map<string, number>, file: string, count: number) =>
    map.set(file, (map.get(file) ?? 0) + count);
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const opened = /openat\(.*\) = \d+<(.*)>$/.exec(line)?.[1];
    if (opened !== undefined) add(opens, opened, 1);
    const [, file, count] = /pread64\(\d+<(.*?)>, .*\) = (\d+)$/.exec(line) ?? [];
    if (file !== undefined) add(bytes, file, Number(count));
  }
  return { opens, bytes };
}

function isElf(file: string): boolean {
  return readFileSync(file).subarray(0, 4).toString('latin1') === '\x7fELF';
}

const PROGRAMS = ['env', 'bash', 'ps', 'ls', 'top', 'ssh', 'perl', 'python3', 'git', 'rsync'];

describe('reads of ELF files', needs('strace', ...PROGRAMS), () => {
  // Node itself opens some libraries.
  const before = traced('--version');

  // The loader is read once more per resolution, for its built-in paths.
  for (const { title, args, times, resolutions, advice } of [
    {
      title: 'open each file once',
      args: ['tree', ...PROGRAMS, '--no-cache'],
      times: 1,
      resolutions: 1,
      advice: 0,
    },
    {
      title: 'open each file once more for the digests of a manifest',
      args: ['/nowhere/jail', ...PROGRAMS, '--dry-run', '--no-cache'],
      times: 2,
      // On the host, and in the root of the plan.
      resolutions: 2,
      // Programs and libraries of their own packages are searched for paths and command lines, and for names.
      advice: 2,
    },
  ]) {
    test(title, () => {
      const { opens } = traced(...args);
      const elf = [...opens].filter(([file]) => file.startsWith('/usr/') && isElf(file));
      assert.ok(elf.length > PROGRAMS.length + 20, `${elf.length} ELF files`);
      const again = elf
        .map(([file, count]) => [file, count - (before.opens.get(file) ?? 0)] as const)
        .filter(
          ([file, count]) => count > times + advice + (/\/ld-[^/]*$/.test(file) ? resolutions : 0),
        );
      assert.deepEqual(again, []);
    });
  }

  test('are not needed for advice on files that an earlier run has read', () => {
    const variables = { XDG_CACHE_HOME: tempDir() };
    const plan = (...programs: readonly string[]) =>
      tracedIn(variables, '/nowhere/jail', ...programs, '--dry-run').opens;
    const [some, more] = [
      ['bash', 'ps'],
      ['env', 'ls'],
    ];
    plan(...some);
    const opens = plan(...some, ...more);
    const timesOf = (names: readonly string[]) =>
      names.map((name) => opens.get(`/usr/bin/${name}`) ?? 0);
    // For the digests; of the others, also the headers and the strings.
    assert.deepEqual(timesOf(some), [1, 1]);
    assert.deepEqual(timesOf(more), [3, 3]);
  });

  test('are small, however large the files are', () => {
    const large = path.join(tempDir(), 'large');
    copyFileSync('/usr/bin/env', large);
    truncateSync(large, 8 * 2 ** 30);
    const { bytes } = traced('tree', large, ...PROGRAMS, '--no-cache');
    const read = bytes.get(large) ?? 0;
    assert.ok(read > 0 && read <= 32 << 10, `${read} bytes`);
    let all = 0;
    let sizes = 0;
    for (const [file, count] of bytes) {
      // The loader is searched for its built-in paths.
      if (file === large || /\/ld-[^/]*$/.test(file) || !isElf(file)) continue;
      all += count;
      sizes += statSync(file).size;
    }
    assert.ok(all > 0 && all < sizes / 4, `${all} bytes of ${sizes}`);
  });
});
