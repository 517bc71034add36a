import assert from 'node:assert/strict';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { launcherArguments } from '../../src/launcher/options.js';
import { compileNative } from '../../src/tooling/native.mjs';
import { type ExecOptions, exec, type Finished, PROJECT } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY, NOBODY_AS_ROOT, onTerminal } from './support.js';

const LAUNCHER = path.join(PROJECT, 'src/native/launcher');
const ENGINE = path.join(PROJECT, 'src/native/engine');
const REPORT = /AddressSanitizer|runtime error|SUMMARY:/;

/** Command lines that are refused before anything is done, and those that only print. */
const PARSED: readonly (readonly string[])[] = [
  ['--help'],
  ['--list-denied'],
  ['-i', 'maybe'],
  ['--init', 'true'],
  ['-m', '--read-only', 'true'],
  ['--caps', 'chown,,cap_KILL,nothing'],
  ['--ambient', ','.repeat(300).concat('x')],
  ['--memory', '9'.repeat(40)],
  ['--umask', '8'],
  ['--monotonic', '--5'],
  ['--env', '=x'],
  ['-m', '--bind', ':::'],
  ['-m', '--bind', 'a:/b:c:ro'],
  ['-m', '--tmpfs', ':'],
  ['--uid-map', '0:0:1'],
  ['-i', ''],
];

/** Refused by the C library with its own message. */
const MALFORMED: readonly (readonly string[])[] = [['-x'], ['--no-such'], ['--bind'], ['--dev=x']];

for (const program of ['launcher', 'engine', 'observer']) {
  test(`the ${program} compiles without warnings`, needs('gcc'), () => {
    const source = path.join(PROJECT, 'src/native', program);
    const out = path.join(tempDir(), program);
    assert.ok(compileNative(source, out, 'gcc', { flags: ['-static', '-O2', '-Werror'] }));
  });
}

describe('sanitizers', needsRoot('gcc', 'setpriv', 'script'), () => {
  const directory = tempDir();
  const dist = path.join(directory, 'dist');
  const programs = path.join(dist, `native/linux-${process.arch}`);
  const launcher = path.join(programs, 'invoke_ns');
  const jail = path.join(directory, 'jail');

  before(() => {
    // The command line, with the two instrumented programs.
    cpSync(path.join(PROJECT, 'dist'), dist, { recursive: true });
    symlinkSync(path.join(PROJECT, 'node_modules'), path.join(directory, 'node_modules'));
    const flags = [
      ...['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
      '-static-libasan',
    ];
    const noLeaks = path.join(PROJECT, 'fixtures/launcher/no-leaks.c');
    assert.ok(compileNative(LAUNCHER, launcher, 'gcc', { flags: [...flags, noLeaks] }));
    assert.ok(compileNative(ENGINE, path.join(programs, 'jail_engine'), 'gcc', { flags }));
  });

  /** Runs a command that must end without a report. */
  function clean(file: string, args: readonly string[], options: ExecOptions = {}): Finished {
    const done = exec(file, args, options);
    assert.doesNotMatch(done.stderr, REPORT, args.join(' '));
    return done;
  }
  const cli = (...args: string[]): Finished => {
    const done = clean(process.execPath, [path.join(dist, 'jailbuild.cjs'), ...args]);
    assert.equal(done.status, 0, done.stderr);
    return done;
  };

  test('report faults', () => {
    const faulty = path.join(directory, 'faulty');
    mkdirSync(faulty);
    writeFileSync(
      path.join(faulty, 'main.c'),
      'int main(int argc, char **argv) { char a[4]; (void)argv; return a[argc * 7] + argc; }\n',
    );
    const flags = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-w'];
    assert.ok(compileNative(faulty, path.join(faulty, 'main'), 'gcc', { flags }));
    assert.match(exec(path.join(faulty, 'main'), []).stderr, REPORT);
  });

  test('find none when a jail is built, built again, updated and removed', () => {
    cli(jail, 'bash', 'env', 'ls', 'cat', 'stty', 'sleep', '--quiet');
    cli(jail, 'ps', '--quiet');
    cli('update', jail);
    const other = path.join(directory, 'other');
    cli(other, 'ls', '--quiet');
    cli('remove', other);
    assert.equal(cli('run', jail, '--', 'bash', '-c', 'echo $((6 * 7))').stdout, '42\n');
  });

  test('find none when the launcher runs commands with each of its options', () => {
    const launch = {
      readOnly: true,
      isolateNetwork: true,
      clockOffsets: { monotonic: 5, boottime: -1 },
      mounts: [
        { target: '/tmp', options: 'size=1m' },
        { source: directory, target: '/tmp/d', readOnly: true, devices: false },
        { source: '/dev/null', target: '/tmp/n', readOnly: false, devices: true },
      ],
      rlimits: [{ name: 'nofile', soft: 50, hard: 60 }],
      umask: '077',
      cwd: '/usr',
      env: { A: 'b' },
      verbose: true,
    };
    const run = (options: object, before: readonly string[] = [], command = ['ls', '/']) => {
      const [file = '', ...args] = [
        ...before,
        launcher,
        ...launcherArguments(jail, options, command),
      ];
      const { status, stderr } = clean(file, args);
      assert.equal(status, 0, stderr);
    };
    run(launch);
    run({ ...launch, noInit: true, user: '1000:7' });
    run({ pids: 50, memory: 2 ** 30, cpus: 1, newSession: true });
    run({ userMaps: NOBODY_AS_ROOT, ...launch, readOnly: false }, AS_NOBODY);
    run({ allowNewPrivileges: true, proc: 'full', ownDev: true, seccomp: 'off' });
    const shell = launcherArguments(jail, { tty: true }, ['bash', '-c', 'stty size; sleep 0.1']);
    assert.match(onTerminal([launcher, ...shell]), /^24 80$/m);
    assert.match(clean(launcher, ['-v', '-i', 'yes', '/bin/true']).stdout, /received no message/);
  });

  test('find none in refused command lines', () => {
    for (const args of [...PARSED, ...MALFORMED]) clean(launcher, args);
  });

  test('find none with random arguments and accounts', () => {
    const random = generator(20240229);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const values = ['', '0', '-1', '1:2:3', '/tmp', '/', 'a=b', 'nofile=1:2', 'chown,kill', 'none'];
    const taking = [
      'bind',
      'dev-bind',
      'tmpfs',
      'caps',
      'ambient',
      'rlimit',
      'user',
      'umask',
      'cwd',
    ];
    const others = [
      'read-only',
      'dev',
      'mask-proc',
      'no-proc',
      'init',
      'keyring',
      'cgroup',
      'time',
    ];
    const word = (): string =>
      random() < 0.5
        ? pick(values)
        : Array.from({ length: random() * 90 }, () => pick([...'/:,=-0129arox.'])).join('');
    for (let round = 0; round < 120; round++) {
      const options = Array.from({ length: random() * 6 }, () =>
        random() < 0.6 ? [`--${pick(taking)}=${word()}`] : [`--${pick(others)}`],
      ).flat();
      clean(launcher, ['-pm', '-c', jail, ...options, 'ls', '/']);
    }
    for (let round = 0; round < 60; round++) {
      const text = Array.from({ length: random() * 3000 }, () => pick([...'::::\nax01\0é'])).join(
        '',
      );
      writeFileSync(path.join(jail, 'etc/passwd'), text);
      writeFileSync(path.join(jail, 'etc/group'), text);
      clean(launcher, ['-m', '-c', jail, '--user', pick(['a', '0', 'x:a', '1:x', 'é']), 'ls', '/']);
    }
  });
});

describe('static analysers', () => {
  test('cppcheck reports nothing', needs('cppcheck'), () => {
    const check = (...paths: string[]): Finished =>
      exec('cppcheck', [
        ...['--enable=warning,performance,portability', '--error-exitcode=1', '--quiet'],
        // It does not know the C11 keyword.
        ...['--std=c11', '-D_Noreturn=__attribute__((noreturn))', ...paths],
      ]);
    const { status, stderr } = check(LAUNCHER, ENGINE);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const faulty = path.join(tempDir(), 'faulty.c');
    writeFileSync(faulty, 'int f(void) { int a[2] = { 0, 0 }; return a[2]; }\n');
    assert.equal(check(faulty).status, 1);
  });

  test('gcc -fanalyzer reports nothing for the launcher', needs('gcc'), () => {
    const out = path.join(tempDir(), 'invoke_ns');
    // Warnings are errors.
    assert.ok(compileNative(LAUNCHER, out, 'gcc', { flags: ['-O2', '-fanalyzer'] }));
  });
});

describe('the launcher for arm64', needs('qemu-aarch64-static', 'aarch64-linux-gnu-gcc'), () => {
  const arm64 = path.join(PROJECT, 'dist/native/linux-arm64/invoke_ns');
  const x64 = path.join(PROJECT, 'dist/native/linux-x64/invoke_ns');
  const onArm64 = (...args: string[]): Finished => exec('qemu-aarch64-static', [arm64, ...args]);

  test('parses options as the one for x86-64 does', () => {
    for (const args of PARSED) assert.deepEqual(onArm64(...args), exec(x64, args), args.join(' '));
    for (const args of MALFORMED) {
      const { status, stderr } = onArm64(...args);
      assert.match(stderr, /option/);
      assert.equal(status, 125);
    }
  });

  test('runs a command', () => {
    const command = ['--env', 'A=b', '--umask', '027', '/bin/sh', '-c', 'echo $A; umask; exit 7'];
    const { stdout, status, stderr } = onArm64(...command);
    assert.equal(stderr, '');
    assert.equal(stdout, 'b\n0027\n');
    assert.equal(status, 7);
  });
});

test(
  'the package contains the programs for both architectures',
  needs('aarch64-linux-gnu-gcc'),
  () => {
    const { stdout, stderr } = exec('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: PROJECT,
    });
    const [{ files }] = JSON.parse(stdout || stderr) as [
      { readonly files: readonly { readonly path: string; readonly mode: number }[] },
    ];
    for (const arch of ['x64', 'arm64']) {
      for (const name of ['invoke_ns', 'jail_engine']) {
        const file = files.find((each) => each.path === `dist/native/linux-${arch}/${name}`);
        assert.ok(file, `${arch} ${name}`);
        assert.equal(file.mode & 0o111, 0o111);
        const machine = exec('readelf', ['-h', path.join(PROJECT, file.path)]).stdout;
        assert.match(machine, arch === 'x64' ? /Machine: +.*X86-64/ : /Machine: +AArch64/);
      }
    }
  },
);

/** Random numbers in [0, 1), reproducible by seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
