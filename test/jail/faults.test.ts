import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { writeJail } from '../../src/jail/write/write.js';
import { exec, type Finished, JAILBUILD, jailbuild } from '../support/cli.js';
import { stateNames } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { manifestOf, scratch, snapshot } from './support.js';

/** One line with the path and the cause. */
const NAMES_A_FILE = /^jailbuild: \/[^\n:]+: [^\n]+\n$/;

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = exec(file, args);
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Mounts a file system of a kind, in an image of its own, until the test ends. */
function mountImage(t: TestContext, kind: 'btrfs' | 'xfs', mebibytes: number): string {
  let mounted: string | undefined;
  // Registered before the directory's removal: hooks run in order.
  t.after(() => mounted !== undefined && run('umount', mounted));
  const directory = scratch(t);
  const image = path.join(directory, 'image');
  const mount = path.join(directory, 'mnt');
  writeFileSync(image, '');
  truncateSync(image, mebibytes << 20);
  run(`mkfs.${kind}`, '-q', image);
  mkdirSync(mount);
  run('mount', '-o', 'loop', image, mount);
  mounted = mount;
  return mount;
}

describe('on a file system that can share blocks', () => {
  for (const kind of ['btrfs', 'xfs'] as const) {
    test(
      `${kind}: a copy shares the blocks of its source`,
      needsRoot(`mkfs.${kind}`, 'filefrag'),
      async (t) => {
        const mount = mountImage(t, kind, 320);
        const host = path.join(mount, 'host');
        mkdirSync(host);
        for (const name of ['a', 'b']) {
          writeFileSync(`${host}/${name}`, Buffer.alloc(2 << 20, name));
        }
        run('sync', '-f', mount);
        await writeJail(manifestOf(host), `${mount}/jail`, { sourceRoot: host });
        for (const name of ['a', 'b']) {
          const [source, copy] = [host, `${mount}/jail`].map((root) =>
            run('filefrag', '-v', `${root}/${name}`)
              .split('\n')
              .filter((line) => /^\s+\d+:/.test(line))
              .map((line) => line.split(':')[2]?.trim()),
          );
          assert.ok(copy && copy.length > 0);
          assert.deepEqual(copy, source);
          assert.match(run('filefrag', '-v', `${mount}/jail/${name}`), /shared/);
        }
        assert.equal(lstatSync(`${mount}/jail/a`).mtimeMs, lstatSync(`${host}/a`).mtimeMs);
      },
    );
  }
});

test(
  'on a full btrfs, the build fails with the name of a file, and the jail is unchanged',
  needsRoot('mkfs.btrfs'),
  async (t) => {
    const host = scratch(t);
    for (const name of ['a', 'b', 'c', 'd']) {
      writeFileSync(`${host}/${name}`, Buffer.alloc(20 << 20, name));
    }
    const mount = mountImage(t, 'btrfs', 114);
    mkdirSync(`${mount}/old`);
    writeFileSync(`${mount}/old/a`, 'old');
    exec('dd', ['if=/dev/zero', `of=${mount}/filler`, 'bs=1M', 'count=60']);
    const before = snapshot(`${mount}/old`);
    for (const jail of [`${mount}/old`, `${mount}/new`]) {
      await assert.rejects(writeJail(manifestOf(host), jail, { sourceRoot: host }), {
        code: 'WRITE_FAILED',
        message: /no space left on device/,
      });
      assert.deepEqual(snapshot(`${mount}/old`), before);
      assert.deepEqual(readdirSync(mount).sort(), ['filler', 'old']);
    }
  },
);

describe('a failing system call', needsRoot('strace'), () => {
  const directory = tempDir();
  /** The expected files, from a build without failures. */
  const good = path.join(directory, 'good');
  const contents = (root: string) =>
    Object.fromEntries(
      readdirSync(root, { recursive: true, encoding: 'utf8' })
        .filter((name) => !name.startsWith('.jailbuild') && lstatSync(`${root}/${name}`).isFile())
        .map((name) => [name, readFileSync(`${root}/${name}`)]),
    );
  /** Runs a build in which the n-th call of a kind fails in the native program. */
  const withFault = (jail: string, call: string, error: string, count: number): Finished =>
    exec('strace', [
      ...['-f', '-o', '/dev/null', '-e', `trace=${call}`],
      ...['-e', `inject=${call}:error=${error}:when=${count}`],
      ...[process.execPath, JAILBUILD, jail, 'ls', 'id', '-q'],
    ]);
  const faults: [call: string, error: string, counts: number[]][] = [
    ['pwrite64', 'ENOSPC', [1, 4]],
    ['copy_file_range', 'ENOSPC', [1, 3]],
    ['renameat2', 'EIO', [1, 3]],
    ['syncfs', 'EIO', [1]],
    ['mkdirat', 'EDQUOT', [2, 5]],
    ['symlinkat', 'EROFS', [1, 4]],
    ['pread64', 'EIO', [40]],
  ];

  test('leaves no new jail and does not change an existing one, and the next build succeeds', async () => {
    assert.equal(jailbuild([good, 'ls', 'id', '-q']).status, 0);
    const finished = contents(good);
    let failed = 0;
    for (const [call, error, counts] of faults) {
      for (const count of counts) {
        const at = path.join(directory, `${call}-${count}`);
        mkdirSync(at);
        const fresh = path.join(at, 'new');
        const made = withFault(fresh, call, error, count);
        if (made.status !== 0) {
          failed++;
          assert.match(made.stderr, NAMES_A_FILE);
          assert.deepEqual(readdirSync(at), [], `${call} ${count}: ${made.stderr}`);
        }
        // Some files are missing, some are outdated.
        const old = path.join(at, 'old');
        cpSync(good, old, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
        exec('rm', ['-rf', `${old}/.jailbuild`, `${old}/usr/bin/id`, `${old}/etc`]);
        writeFileSync(`${old}/usr/bin/ls`, 'an old ls');
        const before = snapshot(old);
        const changed = withFault(old, call, error, count);
        if (changed.status !== 0) {
          failed++;
          assert.match(changed.stderr, NAMES_A_FILE);
          assert.deepEqual(snapshot(old), before, `${call} ${count}: ${changed.stderr}`);
        }
        for (const jail of [fresh, old]) {
          const next = jailbuild([jail, 'ls', 'id', '-q']);
          assert.equal(next.status, 0, next.stderr);
          assert.deepEqual(contents(jail), finished);
        }
      }
    }
    // Otherwise, no faults were injected.
    assert.ok(failed >= faults.length * 2, `${failed} builds failed`);
  });

  /** Builds a jail as on another file system than its sources, where copy_file_range(2) does not work. */
  const acrossFileSystems = (name: string, ...faults: string[]) => {
    const jail = path.join(directory, name);
    const log = path.join(directory, `${name}.log`);
    const rules = ['copy_file_range:error=EXDEV', ...faults.map((fault) => `sendfile:${fault}`)];
    const finished = exec('strace', [
      ...['-f', '-o', log, '-e', 'trace=copy_file_range,sendfile'],
      ...rules.flatMap((rule) => ['-e', `inject=${rule}`]),
      ...[process.execPath, JAILBUILD, jail, 'ls', 'id', '-q'],
    ]);
    return { jail, finished, calls: readFileSync(log, 'utf8') };
  };

  test('files of other file systems are copied, by sendfile(2) or without it', () => {
    for (const [name, ...faults] of [
      ['sent'],
      ['unsent', 'error=EINVAL'],
      ['half-sent', 'error=EIO:when=2+2'],
      ['interrupted', 'error=EINTR:when=1'],
      ['ended', 'retval=0:when=1'],
    ] as const) {
      const { jail, finished, calls } = acrossFileSystems(name, ...faults);
      assert.equal(finished.status, 0, `${name}: ${finished.stderr}`);
      assert.match(calls, faults.length === 0 ? /sendfile\(.* = [1-9]/ : /sendfile\(.*INJECTED/);
      assert.deepEqual(contents(jail), contents(good), name);
    }
  });

  test('if the disk is full, sendfile(2) reports it', () => {
    const { jail, finished } = acrossFileSystems('full', 'error=ENOSPC:when=2');
    assert.equal(finished.status, 1);
    assert.match(finished.stderr, NAMES_A_FILE);
    assert.match(finished.stderr, /no space left on device/);
    assert.ok(!existsSync(jail));
  });
});

describe(
  'a failure after the jail is complete, or while a file is closed',
  needsRoot('strace'),
  () => {
    const directory = tempDir();
    const inject = (
      args: readonly string[],
      call: string,
      fault: string,
      file?: string,
    ): Finished =>
      exec('strace', [
        ...['-f', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${fault}`],
        ...(file === undefined ? [] : ['-P', file]),
        ...[process.execPath, JAILBUILD, ...args],
      ]);

    /** Returns the calls of syncfs(2) in a successful build. */
    const syncsOf = (jail: string, program: string): string => {
      const log = path.join(directory, 'log');
      const { status, stderr } = exec('strace', [
        ...['-f', '-o', log, '-e', 'trace=syncfs'],
        ...[process.execPath, JAILBUILD, jail, program, '-q'],
      ]);
      assert.equal(status, 0, stderr);
      const lines = readFileSync(log, 'utf8').split('\n');
      return lines.filter((line) => line.includes('syncfs(')).join('\n');
    };

    test('if the last sync fails, the jail is in place and the error says so', () => {
      const jail = path.join(directory, 'existing');
      assert.equal(jailbuild([jail, 'ls', '-q']).status, 0);
      const extended = inject([jail, 'id', '--json'], 'syncfs', 'error=EIO:when=2');
      assert.equal(extended.status, 1);
      assert.match(
        extended.stderr,
        /^jailbuild: \/[^\n]*existing: is built, but [^\n]*input\/output error/,
      );
      assert.equal(extended.stderr.split('\n').length, 2);
      assert.equal(JSON.parse(extended.stdout).error.code, 'SYNC_FAILED');
      assert.equal(exec(`${jail}/usr/bin/id`, ['-u']).status, 0);
      assert.equal(jailbuild(['check', jail, '-q']).status, 0);
      // The next build waits for the disk again, even though no file changes.
      assert.match(syncsOf(jail, 'id'), /syncfs\(.*= 0/);
      assert.deepEqual(stateNames(jail), ['record.json']);
    });

    test('if syncing the name of a new jail fails, the error says the same', () => {
      const jail = path.join(directory, 'fresh');
      const made = inject([jail, 'ls', '--json'], 'fsync', 'error=EIO:when=1');
      assert.equal(made.status, 1);
      assert.equal(JSON.parse(made.stdout).error.code, 'SYNC_FAILED');
      assert.equal(jailbuild(['check', jail, '-q']).status, 0);
      assert.ok(!readdirSync(directory).includes('.fresh.jailbuild'));
      // The next build only waits for the disk, and the one after it does not.
      assert.match(syncsOf(jail, 'ls'), /syncfs\(.*= 0/);
      assert.deepEqual(stateNames(jail), ['record.json']);
      assert.equal(syncsOf(jail, 'ls'), '');
    });

    test('a new jail is synced again if its builder was killed before its name was on the disk', () => {
      const jail = path.join(directory, 'killed');
      const killed = inject([jail, 'ls', '-q'], 'fsync', 'signal=SIGKILL:when=1');
      assert.notEqual(killed.status, 0);
      assert.equal(exec(`${jail}/usr/bin/ls`, ['/']).status, 0);
      assert.match(syncsOf(jail, 'ls'), /syncfs\(.*= 0/);
      assert.deepEqual(stateNames(jail), ['record.json']);
    });

    for (const [what, at] of [
      ['copied', 'usr/bin/ls'],
      ['made', 'etc/ld.so.cache'],
    ] as const) {
      test(`an error of close(2) for a file that was ${what} names the file, and no jail appears`, () => {
        const jail = path.join(directory, what);
        const staged = path.join(directory, `.${what}.jailbuild`, at);
        const { status, stderr } = inject([jail, 'ls', '-q'], 'close', 'error=EIO', staged);
        assert.equal(status, 1);
        assert.equal(stderr, `jailbuild: ${jail}/${at}: input/output error\n`);
        assert.ok(!readdirSync(directory).some((name) => name.includes(what)));
      });
    }
  },
);

describe('the order of writes to the disk', needsRoot('strace'), () => {
  const directory = tempDir();
  const trace = (...args: string[]): string[] => {
    const log = path.join(directory, 'log');
    const filter = 'trace=syncfs,fsync,fdatasync,renameat2,rename,renameat,pwrite64,unlinkat';
    const { status, stderr } = exec('strace', [
      ...['-f', '-o', log, '-e', filter, process.execPath, JAILBUILD, ...args],
    ]);
    assert.equal(status, 0, stderr);
    return readFileSync(log, 'utf8')
      .split('\n')
      .flatMap((line) => /^\d+ +(syncfs|fsync|renameat2?|pwrite64)\(.*= \d+$/.exec(line) ?? []);
  };
  const calls = (lines: string[], pattern: RegExp) =>
    lines.flatMap((line, index) => (pattern.test(line) ? [index] : []));

  test('a new jail: its content is synced, then its name, then the parent directory', () => {
    const lines = trace(path.join(directory, 'jail'), 'ls', '-q');
    const [sync] = calls(lines, /syncfs\(/);
    const [rename] = calls(lines, /renameat2\(.*RENAME_NOREPLACE/);
    const [names] = calls(lines, / fsync\(/);
    assert.ok(sync !== undefined && rename !== undefined && names !== undefined, lines.join('\n'));
    assert.ok(sync < rename && rename < names, lines.join('\n'));
    assert.ok(Math.max(...calls(lines, /pwrite64\(/)) < sync);
  });

  test('an existing jail: new content is synced before the first rename, and the renames after the last', () => {
    const jail = path.join(directory, 'jail');
    writeFileSync(`${jail}/usr/bin/ls`, 'old');
    const lines = trace(jail, 'ls', 'id', '-q');
    const syncs = calls(lines, /syncfs\(/);
    // The new record is first stored beside the valid one.
    const renames = calls(lines, /renameat2?\((?!.*"record\.json\.new"\))/);
    assert.ok(renames.length >= 2, lines.join('\n'));
    assert.ok(Math.max(...calls(lines, /pwrite64\(/)) < (syncs[0] ?? 0), lines.join('\n'));
    assert.ok((syncs[0] ?? 0) < Math.min(...renames), lines.join('\n'));
    assert.ok((syncs.at(-1) ?? 0) > Math.max(...renames), lines.join('\n'));
  });

  test('--no-sync: nothing is synced', () => {
    const lines = trace(path.join(directory, 'other'), 'ls', '-q', '--no-sync');
    assert.deepEqual(calls(lines, /sync/), []);
  });
});
