import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { type ExecOptions, exec, type Finished, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import { CountingFront, FRONT, NEEDS_FRONT, stopFrontAt } from './support.js';

const directory = tempDir();
const [sysroot, jails] = [`${directory}/sysroot`, `${directory}/jails`];
const builds = `${directory}/cache/jailbuild/builds`;
let counting: CountingFront;
let made = 0;

/** Returns the path of a jail that does not exist yet. */
function fresh(): string {
  return `${jails}/j${++made}`;
}

function words(target: string, ...options: readonly string[]): string[] {
  return [target, 'ls', 'cat', '--sysroot', sysroot, ...options];
}

function build(target: string, options: readonly string[] = [], how: ExecOptions = {}) {
  return counting.run(words(target, ...options), how);
}

/** Builds jails until one needs no Node: files must not have changed within the last seconds. */
async function repeated(...options: readonly string[]): Promise<Finished & { jail: string }> {
  return until(() => {
    const jail = fresh();
    const result = build(jail, options);
    assert.equal(result.status, 0, result.stderr);
    return result.starts === 0 && { ...result, jail };
  }, 'a jail is built without Node');
}

/** Everything in a jail but its state: type, owner, mode, times, content, and which names are of one file. */
function facts(jail: string): readonly (readonly unknown[])[] {
  const first = new Map<bigint, string>();
  return readdirSync(jail, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((name) => !name.startsWith('.jailbuild'))
    .map((name) => {
      const at = `${jail}/${name}`;
      const stat = lstatSync(at, { bigint: true });
      const { mode, uid, gid, size, mtimeNs, ino, nlink } = stat;
      if (!first.has(ino)) first.set(ino, name);
      const content = stat.isFile()
        ? readFileSync(at, 'base64')
        : stat.isSymbolicLink()
          ? readlinkSync(at)
          : '';
      const links = stat.isDirectory() ? '' : nlink;
      return [name, mode, uid, gid, size, mtimeNs, links, first.get(ino), content];
    });
}

function stateOf(jail: string): readonly (readonly unknown[])[] {
  return ['', '/.jailbuild', '/.jailbuild/record.json'].map((name) => {
    const { mode, uid, gid } = statSync(jail + name);
    return [name, mode, uid, gid];
  });
}

/** Runs a command whose standard output is a full pipe that does not block, and reads it later. */
const FULL_PIPE = `
import os, subprocess, sys, time
reader, writer = os.pipe()
os.set_blocking(writer, False)
filled = 0
try:
    while True: filled += os.write(writer, bytes(1 << 16))
except BlockingIOError: pass
process = subprocess.Popen(sys.argv[1:], stdout=writer)
os.close(writer)
time.sleep(.5)
with open(reader, 'rb') as file: sys.stdout.buffer.write(file.read()[filled:])
sys.exit(process.wait())
`;

const stageOf = (jail: string) => `${path.dirname(jail)}/.${path.basename(jail)}.jailbuild`;
const record = (jail: string) => readFileSync(`${jail}/.jailbuild/record.json`, 'utf8');

/** Checks that a jail is as Node alone builds it. */
function isAsOfNode(jail: string, ...options: readonly string[]): Finished {
  const other = fresh();
  const byNode = jailbuild(words(other, '--no-cache', ...options), { env: counting.env });
  assert.equal(byNode.status, 0, byNode.stderr);
  assert.deepEqual(facts(jail), facts(other));
  assert.deepEqual(stateOf(jail), stateOf(other));
  assert.equal(record(jail), record(other));
  assert.ok(!existsSync(stageOf(jail)));
  return { ...byNode, stdout: byNode.stdout.replaceAll(other, jail) };
}

describe('a build of a new jail, repeated', { ...NEEDS_FRONT, ...needs('sh') }, () => {
  before(() => {
    counting = new CountingFront(directory);
    mkdirSync(jails);
    assert.equal(jailbuild([sysroot, 'ls', 'cat', 'env', '--no-record', '-q']).status, 0);
  });

  for (const options of [['--no-sync'], [], ['--json', '--no-sync'], ['--quiet'], ['--link']]) {
    test(`makes the jail and the output of Node, without Node: ${options.join(' ')}`, async () => {
      // Links to the sources change their times.
      if (options.includes('--link')) {
        const [one, other] = [fresh(), fresh()];
        for (const jail of [one, other]) assert.equal(build(jail, options).status, 0);
        assert.deepEqual(facts(one), facts(other));
        return;
      }
      const byFront = await repeated(...options);
      const byNode = isAsOfNode(byFront.jail, ...options);
      if (options.includes('--json')) {
        assert.deepEqual(JSON.parse(byFront.stdout), JSON.parse(byNode.stdout));
      } else {
        assert.equal(byFront.stdout, byNode.stdout);
      }
      assert.equal(byFront.stderr, byNode.stderr);
      assert.equal(statSync(builds).mode & 0o777, 0o700);
    });
  }

  test('makes a jail of which Node finds nothing changed', async () => {
    const { jail } = await repeated('--no-sync');
    const fingerprint = () => statSync(`${jail}/.jailbuild/fingerprint`);
    const { ino, mode, uid } = fingerprint();
    assert.deepEqual([mode & 0o7777, uid], [0o600, process.getuid?.()]);
    const checked = jailbuild(['check', jail], { env: counting.env });
    assert.deepEqual([checked.status, checked.stderr], [0, '']);
    const again = jailbuild(words(jail, '--json'), { env: counting.env });
    const { files } = JSON.parse(again.stdout) as { files: { action: string }[] };
    assert.ok(files.every(({ action }) => action === 'unchanged'));
    assert.equal(fingerprint().ino, ino);
    assert.equal(build(jail, ['--no-sync']).status, 0);
    assert.equal(jailbuild(['remove', jail], { env: counting.env }).status, 0);
    assert.equal(existsSync(jail), false);
  });

  test('is for any name of the jail, and for the same other words and environment alone', async () => {
    await repeated('--no-sync');
    const cases: readonly (readonly [number, string, readonly string[], ExecOptions])[] = [
      [0, fresh(), ['--no-sync'], {}],
      [0, `${fresh()}/`, ['--no-sync'], {}],
      [0, `${jails}//./x-1.2_3+4`, ['--no-sync'], {}],
      [1, `${jails}/../jails/j${++made}`, ['--no-sync'], {}],
      [1, `${jails}/a b`, ['--no-sync'], {}],
      [1, `${jails}/${'n'.repeat(241)}`, ['--no-sync'], {}],
      [1, `${jails}/parent/jail`, ['--no-sync'], {}],
      [1, fresh(), ['--no-sync', '--no-cache'], {}],
      [1, fresh(), ['--no-sync', '--no-cache'], {}],
      [1, fresh(), ['--no-sync', '--verbose'], {}],
      [1, fresh(), ['--no-sync'], { env: { ...counting.env, LD_LIBRARY_PATH: '/none' } }],
      [1, fresh(), ['--no-sync'], { cwd: directory }],
    ];
    for (const [starts, jail, options, how] of cases) {
      const result = build(jail, options, how);
      assert.deepEqual([result.status, result.starts], [0, starts], `${jail} ${result.stderr}`);
      assert.equal(record(jail), record(`${jails}/j1`));
    }
  });

  test('finds a relative name in the working directory', async () => {
    await until(() => {
      const result = build(`./j${++made}`, ['--no-sync'], { cwd: jails });
      assert.equal(result.status, 0, result.stderr);
      return result.starts === 0;
    }, 'a relative name needs no Node');
    isAsOfNode(`${jails}/j${made}`);
  });

  const library = () => {
    const found = readdirSync(sysroot, { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('/libc.so.6'),
    );
    assert.ok(found !== undefined);
    return path.join(sysroot, found);
  };

  const each = (action: (file: string) => void) => {
    const names = readdirSync(builds);
    assert.ok(names.length > 0);
    for (const name of names) action(path.join(builds, name));
  };

  const flip = (from: number) =>
    each((file) => {
      const bytes = readFileSync(file);
      const at = Math.floor(bytes.length * from);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
      writeFileSync(file, bytes);
    });

  const changes: readonly (readonly [string, () => void])[] = [
    ['a library has another time', () => utimesSync(library(), 1, 1)],
    [
      'a library is replaced by another of the same size and time',
      () => {
        const [file, { atime, mtime }] = [library(), statSync(library())];
        copyFileSync(file, `${file}.new`);
        utimesSync(`${file}.new`, atime, mtime);
        renameSync(`${file}.new`, file);
      },
    ],
    ['a program is longer', () => appendFileSync(`${sysroot}/usr/bin/cat`, 'x')],
    [
      'what is stored is truncated',
      () => each((file) => truncateSync(file, statSync(file).size - 9)),
    ],
    ['a bit near the start is another', () => flip(0.3)],
    ['a bit in the middle is another', () => flip(0.5)],
    ['a bit at the end is another', () => flip(0.99)],
    ['what is stored is of another format', () => each((file) => writeFileSync(file, 'x'))],
    [
      'what is stored is of another version',
      () =>
        each((file) => {
          const text = readFileSync(file, 'latin1');
          writeFileSync(file, text.replace('/build/1', '/build/0'), 'latin1');
          const [schema = '', program = '', , ...rest] = text.split('\0');
          writeFileSync(file, [schema, program, '1:2:3:4:5', ...rest].join('\0'), 'latin1');
        }),
    ],
    ['others may read what is stored', () => each((file) => chmodSync(file, 0o644))],
    ['others may write to the cache', () => chmodSync(`${directory}/cache`, 0o777)],
  ];

  for (const [what, change] of changes) {
    test(`is Node's if ${what}`, async () => {
      await repeated('--no-sync');
      change();
      const jail = fresh();
      const result = build(jail, ['--no-sync']);
      chmodSync(`${directory}/cache`, 0o700);
      assert.deepEqual([result.status, result.starts], [0, 1], result.stderr);
      isAsOfNode(jail);
      isAsOfNode((await repeated('--no-sync')).jail);
    });
  }

  test("is Node's if a library appears where the loader looks first", async () => {
    const options = ['--library-path', '/opt/lib', '--no-sync'];
    await repeated(...options);
    mkdirSync(`${sysroot}/opt/lib`, { recursive: true });
    copyFileSync(library(), `${sysroot}/opt/lib/libc.so.6`);
    const jail = fresh();
    assert.equal(build(jail, options).starts, 1);
    assert.ok(existsSync(`${jail}/opt/lib/libc.so.6`));
    rmSync(`${sysroot}/opt`, { recursive: true });
  });

  test('leaves to Node a jail that exists, links, and places that others could change', async () => {
    await repeated('--no-sync');
    const open = `${directory}/open`;
    mkdirSync(open);
    chmodSync(open, 0o777);
    const refused = build(`${open}/jail`, ['--no-sync']);
    const byNode = jailbuild(words(`${open}/jail`, '--no-sync'), { env: counting.env });
    assert.match(refused.stderr, /is writable by everyone/);
    assert.deepEqual([refused.status, refused.stderr], [byNode.status, byNode.stderr]);
    assert.deepEqual(readdirSync(open), []);
    symlinkSync(jails, `${directory}/link`);
    const linked = `${directory}/link/j${++made}`;
    assert.deepEqual([build(linked, ['--no-sync']).starts, existsSync(linked)], [1, true]);
    symlinkSync('nothing', `${jails}/dangling`);
    const dangling = build(`${jails}/dangling`, ['--no-sync']);
    assert.match(dangling.stderr, /dangling: is not a directory/);
    rmSync(`${jails}/dangling`);
    const there = fresh();
    mkdirSync(there);
    writeFileSync(`${there}/mine`, 'mine');
    assert.deepEqual([build(there, ['--no-sync']).starts, existsSync(`${there}/mine`)], [1, true]);
  });

  test('leaves to Node a jail inside a directory that is copied', async () => {
    const place = `${sysroot}/place`;
    mkdirSync(place);
    writeFileSync(`${place}/file`, '');
    const options = ['--include', '/place', '--no-sync'];
    await repeated(...options);
    const { status, stderr } = build(`${place}/jail`, options);
    assert.equal(status, 1);
    assert.match(stderr, /is inside .*place, which is being copied/);
    assert.deepEqual(readdirSync(place), ['file']);
    rmSync(place, { recursive: true });
  });

  test('uses the remains of a killed build, but no stage of another kind', async () => {
    await repeated('--no-sync');
    const [jail, other] = [fresh(), fresh()];
    mkdirSync(`${stageOf(jail)}/rest`, { recursive: true, mode: 0o700 });
    writeFileSync(`${stageOf(jail)}/rest/file`, '');
    assert.equal(build(jail, ['--no-sync']).starts, 0);
    isAsOfNode(jail);
    mkdirSync(stageOf(other));
    chmodSync(stageOf(other), 0o777);
    const result = build(other, ['--no-sync']);
    assert.deepEqual([result.status, result.starts], [1, 1]);
    assert.match(result.stderr, /exists but is not a directory that only you own/);
    rmSync(stageOf(other), { recursive: true });
  });

  test('waits for room in a standard output that does not block', needs('python3'), async () => {
    const { stdout, stderr } = await repeated('--no-sync');
    const jail = fresh();
    const command = [FRONT, ...words(jail, '--no-sync')];
    const result = exec('python3', ['-c', FULL_PIPE, ...command], { env: counting.env });
    assert.deepEqual([result.status, result.stderr], [0, stderr]);
    assert.equal(result.stdout, stdout);
    isAsOfNode(jail);
  });

  test('is left to Node if what is stored is malformed, although its checksum is right', async () => {
    const harms: readonly ((body: Buffer, path: number) => void)[] = [
      // An operation has a type, flags, and the length of its path.
      (body, at) => body.writeUInt8(0xff, at - 6),
      (body, at) => body.writeUInt8(0x7f, at - 1),
      (body, at) => body.write('/', at),
      (body, at) => body.write('\0', at + 3),
    ];
    for (const harm of harms) {
      const first = await repeated('--no-sync');
      const files = readdirSync(builds).map((name) => `${builds}/${name}`);
      for (const file of files) {
        const bytes = readFileSync(file);
        // The schema, the program, its stamp, and the checksum.
        let head = 0;
        for (let field = 0; field < 3; field++) head = bytes.indexOf(0, head) + 1;
        const body = bytes.subarray(bytes.indexOf(0, head) + 1);
        const entry = /\.j\d+\.jailbuild\/usr\0/.exec(body.toString('latin1'));
        if (entry === null) continue;
        harm(body, entry.index);
        writeFileSync(
          file,
          Buffer.concat([bytes.subarray(0, head), Buffer.from(`${crc32(body)}\0`), body]),
        );
      }
      const jail = fresh();
      const { status, stderr, starts } = build(jail, ['--no-sync']);
      assert.deepEqual([status, stderr, starts], [0, first.stderr, 1]);
      isAsOfNode(jail);
      rmSync(builds, { recursive: true });
    }
  });

  test('begins nothing without descriptors for it', async () => {
    await repeated('--no-sync');
    const jail = fresh();
    const script = 'ulimit -n 12 && exec "$0" "$@"';
    const { status, stderr } = exec('sh', ['-c', script, FRONT, ...words(jail, '--no-sync')], {
      env: counting.env,
    });
    assert.equal(status, 1);
    assert.match(stderr, /too many open files: the limit is 12/);
    assert.deepEqual([existsSync(jail), existsSync(stageOf(jail))], [false, false]);
  });

  test('leaves to Node a jail for which a note about another with its inode may be', async () => {
    await repeated('--no-sync');
    const jail = fresh();
    mkdirSync(stageOf(jail), { mode: 0o700 });
    const notes = process.getuid?.() === 0 ? '/var/lib/jailbuild' : `${directory}/state/jailbuild`;
    const note = `${notes}/unprotected/${statSync(stageOf(jail)).ino}`;
    mkdirSync(path.dirname(note), { recursive: true, mode: 0o700 });
    appendFileSync(note, `${jail}\0`);
    try {
      const { status, starts } = build(jail, ['--no-sync']);
      assert.deepEqual([status, starts], [0, 1]);
      isAsOfNode(jail);
    } finally {
      rmSync(note, { force: true });
    }
  });

  test(
    'keeps the attributes of programs with capabilities',
    needsRoot('setcap', 'getcap'),
    async () => {
      const cat = `${sysroot}/usr/bin/cat`;
      assert.equal(exec('setcap', ['cap_net_raw=ep', cat]).status, 0);
      const { jail, stderr } = await repeated('--no-sync');
      assert.match(stderr, /cap_net_raw=ep/);
      assert.match(exec('getcap', [`${jail}/usr/bin/cat`]).stdout, /cap_net_raw=ep/);
      isAsOfNode(jail, '--no-sync');
      assert.equal(exec('setcap', ['-r', cat]).status, 0);
    },
  );

  test(
    'is left to Node if there is no room, which then says so',
    needsRoot('unshare', 'mount'),
    async () => {
      await repeated('--no-sync');
      const place = `${directory}/small`;
      mkdirSync(place);
      const script =
        'mount -t tmpfs -o mode=755,size=256k tmpfs "$1" && shift && "$@"; status=$?; ls -A "$0"; exit $status';
      const begun = counting.started;
      const { status, stdout, stderr } = exec(
        'unshare',
        ['-m', 'sh', '-c', script, place, place, FRONT, ...words(`${place}/jail`, '--no-sync')],
        { env: counting.env },
      );
      assert.equal(status, 1);
      assert.match(stderr, /no space left on device/);
      assert.doesNotMatch(stdout, /jail/);
      assert.equal(counting.started - begun, 1);
    },
  );
});

describe('a build of a new jail without Node, stopped', {
  ...NEEDS_FRONT,
  ...needs('sh', 'strace'),
}, () => {
  const OPTIONS = ['--no-sync'];

  const stopAt = (t: TestContext, call: string, jail: string) =>
    stopFrontAt(t, call, words(jail, ...OPTIONS), {
      env: counting.env,
      trace: `${directory}/trace-${path.basename(jail)}`,
    });

  test('begins again in Node if a source has changed since it was checked', async (t) => {
    await repeated(...OPTIONS);
    const [jail, begun] = [fresh(), counting.started];
    const stopped = await stopAt(t, 'flock', jail);
    assert.equal(counting.started, begun);
    writeFileSync(`${sysroot}/usr/bin/cat.new`, readFileSync(`${sysroot}/usr/bin/env`), {
      mode: 0o755,
    });
    renameSync(`${sysroot}/usr/bin/cat.new`, `${sysroot}/usr/bin/cat`);
    const { status, stderr } = await stopped.finish();
    assert.equal(status, 0, stderr);
    assert.equal(counting.started, begun + 1);
    assert.deepEqual(readFileSync(`${jail}/usr/bin/cat`), readFileSync(`${sysroot}/usr/bin/env`));
    isAsOfNode(jail);
  });

  for (const call of ['flock', 'fchmod', 'renameat2']) {
    test(`begins again in Node if the jail is made meanwhile: ${call}`, async (t) => {
      await repeated(...OPTIONS);
      const [jail, begun] = [fresh(), counting.started];
      const stopped = await stopAt(t, call, jail);
      const isPlaced = existsSync(jail);
      if (!isPlaced) {
        mkdirSync(jail);
        writeFileSync(`${jail}/mine`, 'mine');
      }
      const { status, stderr } = await stopped.finish();
      assert.equal(status, 0, stderr);
      assert.equal(counting.started - begun, isPlaced ? 0 : 1);
      assert.equal(existsSync(`${jail}/mine`), !isPlaced);
      assert.ok(existsSync(`${jail}/usr/bin/cat`));
      assert.ok(!existsSync(stageOf(jail)));
    });
  }

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`removes what it has begun if ${signal} ends it`, async (t) => {
      await repeated(...OPTIONS);
      const [jail, begun] = [fresh(), counting.started];
      const stopped = await stopAt(t, 'fchmod', jail);
      assert.ok(existsSync(stageOf(jail)));
      process.kill(stopped.front, signal);
      const ended = await stopped.finish();
      assert.deepEqual(
        [ended.status, ended.stdout, ended.stderr],
        [status, '', `jailbuild: ended by ${signal}, nothing was changed\n`],
      );
      assert.equal(counting.started, begun);
      assert.deepEqual([existsSync(jail), existsSync(stageOf(jail))], [false, false]);
    });
  }

  test('leaves a stage if it is killed, which the next build removes', async (t) => {
    await repeated(...OPTIONS);
    const jail = fresh();
    const stopped = await stopAt(t, 'fchmod', jail);
    process.kill(stopped.front, 'SIGKILL');
    await stopped.ended;
    assert.deepEqual([existsSync(jail), existsSync(stageOf(jail))], [false, true]);
    assert.equal(build(jail, OPTIONS).starts, 0);
    isAsOfNode(jail);
  });

  test('keeps others from building the same jail', async (t) => {
    await repeated(...OPTIONS);
    const jail = fresh();
    const stopped = await stopAt(t, 'fchmod', jail);
    const other = build(jail, OPTIONS);
    assert.deepEqual([other.status, other.starts], [1, 1]);
    assert.match(other.stderr, /another build is running there/);
    assert.equal((await stopped.finish()).status, 0);
    isAsOfNode(jail);
  });
});

describe('a build of a new jail without Node, at a failing system call', {
  ...NEEDS_FRONT,
  ...needsRoot('strace', 'sh'),
}, () => {
  const withFault = (jail: string, call: string, error: string, options: readonly string[]) => {
    const begun = counting.started;
    const finished = exec(
      'strace',
      [
        ...['-f', '-o', '/dev/null', '-e', `trace=${call}`],
        ...['-e', `inject=${call}:error=${error}:when=1`, FRONT],
        ...words(jail, ...options),
      ],
      { env: counting.env },
    );
    return { ...finished, starts: counting.started - begun };
  };

  test('is left to Node before the jail is there', async () => {
    for (const [call, error] of [
      ['renameat2', 'EIO'],
      ['symlinkat', 'EROFS'],
      ['syncfs', 'EIO'],
    ] as const) {
      await repeated();
      const jail = fresh();
      const { starts, status } = withFault(jail, call, error, []);
      assert.equal(starts, 1, call);
      assert.equal(existsSync(jail), status === 0);
      assert.ok(!existsSync(stageOf(jail)));
    }
  });

  test('is reported if the disk does not confirm the name, as Node does', async () => {
    for (const options of [[], ['--json']]) {
      await repeated(...options);
      const jail = fresh();
      const { starts, status, stdout, stderr } = withFault(jail, 'fsync', 'EIO', options);
      assert.deepEqual([starts, status], [0, 1]);
      assert.match(stderr, /is built, but the disk did not confirm the writes, .*: i\/o error; /);
      if (options.length > 0) {
        const { error } = JSON.parse(stdout) as { error: { code: string; path: string } };
        assert.deepEqual([error.code, error.path], ['SYNC_FAILED', jail]);
      }
      // The mark remains, so that the next build waits for the disk.
      assert.ok(existsSync(`${jail}/.jailbuild/stage`));
      assert.equal(build(jail).status, 0);
      isAsOfNode(jail);
    }
  });

  test('has the order of writes of Node', async () => {
    await repeated();
    const jail = fresh();
    const trace = `${directory}/order`;
    const { status } = exec(
      'strace',
      ['-f', '-o', trace, '-e', 'trace=syncfs,fsync,renameat2', FRONT, ...words(jail)],
      { env: counting.env },
    );
    assert.equal(status, 0);
    const calls = readFileSync(trace, 'utf8')
      .split('\n')
      .flatMap((line) => /(syncfs|fsync|renameat2)\(.*= 0$/.exec(line)?.[1] ?? []);
    assert.deepEqual(calls, ['syncfs', 'renameat2', 'fsync']);
  });
});
