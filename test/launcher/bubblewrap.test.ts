import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exec, JAILBUILD, jailbuild, PROJECT } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needs, needsRoot, needsThat } from '../support/need.js';
import { running, sleeps, until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';

/** What bubblewrap does, and what run does with the same or similar words. */
describe('compared with bubblewrap', needsRoot('bwrap', 'flock', 'busybox'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const data = path.join(directory, 'data');

  before(() => {
    buildJail(jail, ['bash', 'cat', 'env', 'ls', 'sleep', 'stat', 'readlink', 'flock', 'printenv']);
    for (const name of ['proc', 'dev', 'tmp'])
      mkdirSync(path.join(jail, name), { recursive: true });
    mkdirSync(data);
    writeFileSync(path.join(data, 'text'), 'of the host\n');
  });

  type Result = {
    readonly stdout: string;
    readonly stderr: string;
    readonly status: number | null;
  };
  const shell = (script: string, ...words: string[]): Result =>
    exec('bash', ['-c', script, 'bash', ...words]);
  const BWRAP = ['bwrap', '--unshare-pid', '--bind', jail, '/', '--proc', '/proc', '--dev', '/dev'];
  /** Runs both, after a script that opens descriptors. */
  const both = (
    theirs: readonly string[],
    ours: readonly string[],
    command: readonly string[],
    before = '',
  ): readonly [Result, Result] => [
    shell(`${before} "$@"`, ...BWRAP, ...theirs, ...command),
    shell(`${before} "$@"`, process.execPath, JAILBUILD, 'run', jail, ...ours, '--', ...command),
  ];
  const same = (
    theirs: readonly string[],
    ours: readonly string[],
    command: readonly string[],
    before = '',
  ): string => {
    const [one, other] = both(theirs, ours, command, before);
    assert.equal(one.stderr, '');
    assert.equal(other.stderr, '');
    assert.equal(other.stdout, one.stdout);
    assert.equal(other.status, one.status);
    return other.stdout;
  };

  test('optional mounts and read-only mounts', () => {
    const show = [
      'bash',
      '-c',
      'cat /m/text; echo x 2>/dev/null >/m/new && echo written; ls /n 2>&1',
    ];
    const none = path.join(directory, 'none');
    same(
      ['--ro-bind', data, '/m', '--bind-try', none, '/n', '--dir', '/n'],
      ['--ro-bind', `${data}:/m`, '--bind-try', `${none}:/n`, '--dir', '/n'],
      show,
    );
    same(
      ['--ro-bind-try', data, '/m', '--dev-bind-try', none, '/n', '--tmpfs', '/n'],
      ['--ro-bind-try', `${data}:/m`, '--dev-bind-try', `${none}:/n`, '--tmpfs', '/n'],
      show,
    );
    assert.equal(existsSync(path.join(data, 'new')), false);
  });

  test('descriptors for files, mounted data and mounted directories', () => {
    const source = `exec 8< ${data}/text 9< ${data};`;
    same(['--file', '8', '/tmp/f'], ['--file', '8:/tmp/f'], ['cat', '/tmp/f'], source);
    same(['--bind-data', '8', '/tmp/g'], ['--bind-data', '8:/tmp/g'], ['cat', '/tmp/g'], source);
    same(
      ['--ro-bind-data', '8', '/tmp/h'],
      ['--ro-bind-data', '8:/tmp/h'],
      ['bash', '-c', 'cat /tmp/h; echo x 2>/dev/null >/tmp/h || echo held'],
      source,
    );
    // Newer than some versions of bwrap.
    const { stdout } = shell(
      `${source} "$@"`,
      ...[process.execPath, JAILBUILD, 'run', jail, '--ro-bind-fd', '9:/tmp/d', '--'],
      ...['bash', '-c', 'cat /tmp/d/text; echo x 2>/dev/null >/tmp/d/new || echo held'],
    );
    assert.equal(stdout, 'of the host\nheld\n');
  });

  test('directories, links and modes', () => {
    same(
      ['--dir', '/tmp/a', '--symlink', '/tmp/a', '/tmp/b', '--chmod', '711', '/tmp/a'],
      ['--dir', '/tmp/a', '--symlink', '/tmp/a:/tmp/b', '--chmod', '711:/tmp/a'],
      ['bash', '-c', 'stat -c %a /tmp/a; readlink /tmp/b'],
    );
    same(
      ['--dir', '/tmp/c/d', '--chmod', '711', '/tmp/c'],
      ['--chmod', '711:/tmp/c', '--dir', '/tmp/c/d'],
      ['stat', '-c', '%a', '/tmp/c', '/tmp/c/d'],
    );
    same(['--mqueue', '/tmp/q'], ['--mqueue', '/tmp/q'], ['stat', '-f', '-c', '%T', '/tmp/q']);
  });

  test('modes of created files, of their parents and of mounts', () => {
    const tmp = ['--tmpfs', '/tmp'];
    const modes = [
      '1777',
      '755',
      '644',
      '750',
      '710',
      '720',
      '640',
      '700',
      '600',
      '705',
      '604',
      '0',
    ];
    const places = modes.map((mode) => `/tmp/above-${mode}/dir`);
    const show = ['bash', '-c', 'cd /tmp; stat -c "%n %a" *; stat -c %a */dir', 'bash'];
    same(
      [...tmp, ...modes.flatMap((mode, index) => ['--perms', mode, '--dir', places[index] ?? ''])],
      [...tmp, ...modes.flatMap((mode, index) => ['--dir', `${places[index]}:${mode}`])],
      show,
    );
    // Data is often secret.
    const source = `exec 6< ${data}/text 7< ${data}/text 8< ${data}/text 9< ${data}/text;`;
    same(
      [
        ...[...tmp, '--bind-data', '6', '/tmp/a', '--ro-bind-data', '7', '/tmp/b'],
        ...['--perms', '640', '--bind-data', '8', '/tmp/c'],
        ...['--perms', '444', '--ro-bind-data', '9', '/tmp/d'],
      ],
      [
        ...[...tmp, '--bind-data', '6:/tmp/a', '--ro-bind-data', '7:/tmp/b'],
        ...['--bind-data', '8:/tmp/c:640', '--ro-bind-data', '9:/tmp/d:444'],
      ],
      ['bash', '-c', 'cd /tmp; stat -c "%n %a" *; cat *'],
      source,
    );
    same(
      [
        ...[...tmp, '--perms', '600', '--file', '8', '/tmp/secret/f'],
        ...['--perms', '444', '--file', '9', '/tmp/g'],
      ],
      [...tmp, '--file', '8:/tmp/secret/f:600', '--file', '9:/tmp/g:444'],
      ['bash', '-c', 'cd /tmp; stat -c "%n %a" * */f; cat g */f'],
      source,
    );
  });

  test('a repeated mode, size or field is refused', () => {
    for (const [words, message] of [
      [
        ['--tmpfs', '/tmp/a:mode=700,size=1m,mode=700'],
        /the option of a tmpfs is given twice: mode=/,
      ],
      [['--tmpfs', '/tmp/a:size=1m,size=1m'], /the option of a tmpfs is given twice: size=1m/],
      [['--mount', 'type=tmpfs,dst=/tmp/a,tmpfs-size=1m,tmpfs-size=1m'], /give tmpfs-size once/],
      [['--dir', '/tmp/a:700:700'], /give DEST\[:OCTAL\]/],
      [['--bind-data', '0:/tmp/a:700,dev'], /give FD:DEST\[:OCTAL\]/],
    ] as const) {
      const { status, stderr } = jailbuild(['run', jail, ...words, '--', 'ls']);
      assert.match(stderr, message);
      assert.notEqual(status, 0);
    }
  });

  test("paths with colons and commas, in podman's syntax", () => {
    const odd = path.join(directory, 'a:b,c "d"');
    mkdirSync(odd);
    writeFileSync(path.join(odd, 'file'), 'odd\n');
    const mount = `type=bind,"src=${odd.replaceAll('"', '""')}","dst=/tmp/e:f,g",ro`;
    const { stdout, stderr } = jailbuild([
      ...['run', jail, '--mount', mount, '--mount', 'type=tmpfs,dst=/tmp/t,tmpfs-mode=0700'],
      ...['--', 'bash', '-c', 'cat "/tmp/e:f,g/file"; stat -c %a /tmp/t; echo > "/tmp/e:f,g/new"'],
    ]);
    assert.equal(stdout, 'odd\n700\n');
    assert.match(stderr, /Read-only file system/);
    for (const wrong of ['type=bind,dst=/x', 'type=bind,src=a,dst=x', 'type=none,dst=/x', 'dst=/'])
      assert.equal(jailbuild(['run', jail, '--mount', wrong, '--', 'ls']).status, 2, wrong);
    const { stderr: unknown } = jailbuild([
      'run',
      jail,
      '--mount',
      'src=/a,dst=/b,z=1',
      '--',
      'ls',
    ]);
    assert.match(unknown, /give no z/);
  });

  test('the status of a jail is reported as JSON', () => {
    const file = path.join(directory, 'status');
    for (const [option, lines] of [
      ['--info-fd', 1],
      ['--json-status-fd', 2],
    ] as const) {
      const texts = both(
        [option, '7'],
        [option, '7'],
        ['bash', '-c', 'exit 5'],
        `exec 7> ${file};`,
      ).map(({ status }) => status);
      assert.deepEqual(texts, [5, 5]);
      const ours = shell(
        `exec 7> ${file}; "$@"`,
        process.execPath,
        JAILBUILD,
        'run',
        jail,
        option,
        '7',
        '--',
        'bash',
        '-c',
        'exit 5',
      );
      assert.equal(ours.status, 5);
      const said = readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.equal(said.length, lines);
      assert.ok(said[0]['child-pid'] > 1);
      for (const name of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'])
        assert.ok(said[0][`${name}-namespace`] > 0, name);
      if (lines === 2) assert.deepEqual(said[1], { 'exit-code': 5 });
    }
  });

  test('a command can wait, and a lock and a descriptor be held', async () => {
    const fifo = path.join(directory, 'fifo');
    assert.equal(exec('mkfifo', [fifo]).status, 0);
    const pipe = openSync(fifo, 'r+');
    const said = path.join(directory, 'said');
    const output = openSync(said, 'w');
    const waiting = spawn(
      process.execPath,
      [JAILBUILD, 'run', jail, '--block-fd', '3', '--', 'bash', '-c', 'echo started'],
      { stdio: ['ignore', output, 'inherit', pipe] },
    );
    const finished = once(waiting, 'exit');
    await sleeps(waiting.pid);
    assert.equal(readFileSync(said, 'utf8'), '');
    writeSync(pipe, '\n');
    assert.deepEqual(await finished, [0, null]);
    assert.equal(readFileSync(said, 'utf8'), 'started\n');
    for (const descriptor of [pipe, output]) closeSync(descriptor);
    writeFileSync(path.join(jail, 'lock'), '');
    const locked = ['--lock-file', '/lock'];
    for (const words of [
      [...BWRAP, '--die-with-parent', ...locked],
      [process.execPath, JAILBUILD, 'run', jail, ...locked, '--'],
    ]) {
      const child = spawn(words[0] as string, [...words.slice(1), 'sleep', '600'], {
        stdio: 'ignore',
      });
      const isLocked = (): boolean => /POSIX .*READ/.test(locksOf(path.join(jail, 'lock')));
      await until(isLocked, `${words[0]} locks the file`);
      child.kill('SIGKILL');
      await until(() => !isLocked(), `${words[0]} has unlocked the file`);
    }
  });

  test('descriptors for the command, its own name, and sockets that it serves', () => {
    const run = [process.execPath, JAILBUILD, 'run', jail];
    const list = 'cd /proc/self/fd; for f in *; do echo $f; done';
    const some = shell(
      `exec 5< /dev/null 6< /dev/null 9< /; "$@"`,
      ...run,
      '--fd',
      '5',
      '--',
      'bash',
      '-c',
      list,
    );
    assert.doesNotMatch(some.stdout, /^[69]$/m);
    assert.match(some.stdout, /^5$/m);
    const two = shell(
      `exec 3< ${data}/text 4< ${data}/text; "$@"`,
      ...run,
      '--preserve-fds',
      '2',
      '--',
      'bash',
      '-c',
      'cat <&3; cat <&4',
    );
    assert.equal(two.stdout, 'of the host\nof the host\n');
    const closed = jailbuild(['run', jail, '--fd', '77', '--', 'ls']);
    assert.match(closed.stderr, /--fd 77: give the number of an open descriptor/);
    const named = jailbuild(['run', jail, '--argv0', 'me', '--', 'bash', '-c', 'echo $0']);
    assert.equal(named.stdout, 'me\n');
    const listening = shell(
      `exec 3< ${data}/text; LISTEN_FDS=1 LISTEN_FDNAMES=a exec -a x bash -c 'LISTEN_PID=$$ exec "$@"' y "$@"`,
      ...run,
      ...['--', 'bash', '-c', 'echo $LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID == $$)); cat <&3'],
    );
    assert.equal(listening.stdout, '1 a 1\nof the host\n');
    // Descriptors addressed to another process are ignored.
    const others = exec(run[0] as string, [...run.slice(1), '--', 'printenv', 'LISTEN_FDS'], {
      env: { ...process.env, LISTEN_FDS: '1', LISTEN_PID: '1' },
    });
    assert.equal(others.stdout, '');
  });

  test('variables come from the caller or a file, and stay out of process lists', async () => {
    const file = path.join(directory, 'variables');
    writeFileSync(file, '# a comment\n\nA=1\nB=two words\nFROM\n');
    const env = { ...process.env, FROM: 'caller', SECRET: 'swordfish' };
    const run = ['run', jail, '--env-file', file, '-e', 'B=three', '-e', 'SECRET', '-e', 'NONE'];
    const { stdout } = exec(process.execPath, [JAILBUILD, ...run, '--', 'env'], { env });
    for (const line of ['A=1', 'B=three', 'FROM=caller', 'SECRET=swordfish'])
      assert.match(stdout, new RegExp(`^${line}$`, 'm'));
    assert.doesNotMatch(stdout, /NONE/);
    const mark = `sleep 8${process.pid}.5`;
    const child = spawn(process.execPath, [JAILBUILD, ...run, '--', ...mark.split(' ')], {
      env,
      stdio: 'ignore',
    });
    await until(() => running(mark).length > 0, `${mark} runs`);
    const list = exec('ps', ['-ww', '-e', '-o', 'args=']).stdout;
    child.kill('SIGTERM');
    assert.match(list, new RegExp(`^${mark}$`, 'm'));
    assert.doesNotMatch(list, /swordfish/);
  });

  test('the jail ends with the process that started it, and with no other', async () => {
    const mark = `7${process.pid}.25`;
    const found = (): number[] => running(`sleep ${mark}`);
    for (const [option, ends] of [
      [['--die-with-parent'], true],
      [[], false],
    ] as const) {
      const words = [process.execPath, JAILBUILD, 'run', jail, ...option, '--', 'sleep', mark];
      const starter = spawn('bash', ['-c', '"$@"; true', 'bash', ...words], { stdio: 'ignore' });
      await until(() => found().length > 0, 'the command runs');
      const ended = once(starter, 'exit');
      starter.kill('SIGKILL');
      await ended;
      if (ends) await until(() => found().length === 0, 'the command has ended');
      for (let tries = 0; !ends && tries < 15; tries++) {
        assert.ok(found().length > 0);
        await pause(20);
      }
      for (const pid of found()) process.kill(pid);
    }
  });

  test('an overlay receives all writes, and the root does not change', () => {
    const keep = path.join(directory, 'changes');
    const script = 'echo new > /etc/new; echo x >> /etc/nsswitch.conf; cat /etc/new';
    const before = readFileSync(path.join(jail, 'etc/nsswitch.conf'), 'utf8');
    assert.equal(
      jailbuild(['run', jail, '--overlay', 'tmpfs', '--', 'bash', '-c', script]).stdout,
      'new\n',
    );
    mkdirSync(keep);
    assert.equal(
      jailbuild(['run', jail, '--overlay', keep, '--', 'bash', '-c', script]).stdout,
      'new\n',
    );
    assert.equal(existsSync(path.join(jail, 'etc/new')), false);
    assert.equal(readFileSync(path.join(jail, 'etc/nsswitch.conf'), 'utf8'), before);
    assert.equal(readFileSync(path.join(keep, 'upper/etc/new'), 'utf8'), 'new\n');
    assert.equal(
      jailbuild(['run', jail, '--overlay', keep, '--', 'cat', '/etc/new']).stdout,
      'new\n',
    );
    // Mount points are created in it as well.
    const bind = ['--bind', `${data}:/made/here`];
    assert.equal(
      jailbuild(['run', jail, '--overlay', 'tmpfs', ...bind, '--', 'cat', '/made/here/text'])
        .stdout,
      'of the host\n',
    );
    assert.equal(existsSync(path.join(jail, 'made')), false);
    rmSync(keep, { recursive: true, force: true });
  });

  test('nested user namespaces', () => {
    const off = ['--userns', 'root', '--seccomp', 'off'];
    const make = ['/busybox', 'unshare', '-U', '/busybox', 'true'];
    exec('cp', ['/usr/bin/busybox', `${jail}/busybox`]);
    assert.equal(jailbuild(['run', jail, ...off, '--', ...make]).status, 0);
    const disabled = jailbuild(['run', jail, ...off, '--disable-userns', '--', ...make]);
    assert.match(disabled.stderr, /No space left on device/);
    const asserted = jailbuild(['run', jail, ...off, '--assert-userns-disabled', '--', 'ls']);
    assert.match(
      asserted.stderr,
      /could make a user namespace, which --assert-userns-disabled forbids/,
    );
    assert.equal(asserted.status, 125);
    const theirs = [...BWRAP, '--unshare-user', '--disable-userns', '--assert-userns-disabled'];
    assert.notEqual(shell('"$@"', ...theirs, ...make).status, 0);
  });

  test('stacked filters, and labels that no security module accepts', () => {
    const filter = path.join(directory, 'filter');
    // uname(2) fails with ENOMSG.
    const instructions = [
      [0x20, 0, 0, 0],
      [0x15, 0, 1, 63],
      [0x06, 0, 0, 0x0005002a],
      [0x06, 0, 0, 0x7fff0000],
    ];
    writeFileSync(
      filter,
      Buffer.concat(
        instructions.map(([code = 0, yes = 0, no = 0, k = 0]) => {
          const bytes = Buffer.alloc(8);
          bytes.writeUInt16LE(code, 0);
          bytes.writeUInt8(yes, 2);
          bytes.writeUInt8(no, 3);
          bytes.writeUInt32LE(k, 4);
          return bytes;
        }),
      ),
    );
    const stacked = jailbuild([
      'run',
      jail,
      '--seccomp',
      'default',
      '--seccomp',
      filter,
      '--',
      'bash',
      '-c',
      'while read -r n v; do case $n in Seccomp_filters:) echo $v;; esac; done < /proc/self/status; /busybox uname; /busybox mount -t tmpfs none /tmp',
    ]);
    assert.match(stacked.stdout, /^2\n/);
    assert.doesNotMatch(stacked.stdout, /Linux/);
    assert.match(stacked.stderr, /permission denied|Operation not permitted/);
    const one = path.join(directory, 'one');
    const descriptor = openSync(one, 'w');
    closeSync(descriptor);
  });

  const isLabelled = existsSync('/sys/fs/selinux/enforce') || existsSync('/sys/module/apparmor');
  const UNLABELLED = needsThat('a kernel without SELinux and AppArmor', () => !isLabelled);
  test('a label is refused if the kernel supports none', UNLABELLED, () => {
    const label = jailbuild(['run', jail, '--exec-label', 'a:b:c:s0', '--', 'ls']);
    assert.match(label.stderr, /this kernel runs neither SELinux nor AppArmor/);
  });

  test('arguments are read from a file', () => {
    const file = path.join(directory, 'arguments');
    const words = ['-pm', '-c', jail, '--env', 'A=b', 'bash', '-c', 'echo $A $1', 'bash'];
    writeFileSync(file, `${words.join('\0')}\0`);
    const launcher = path.join(path.dirname(JAILBUILD), 'invoke_ns');
    assert.equal(exec(launcher, ['--args', file, 'last']).stdout, 'b last\n');
    assert.equal(shell(`"$@" 8< ${file}`, launcher, '--args', '8', 'last').stdout, 'b last\n');
  });
});

function locksOf(file: string): string {
  const inode = exec('stat', ['-c', '%i', file]).stdout.trim();
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return lines.filter((line) => line.includes(`:${inode} `)).join('\n');
}

test(
  'docs/launcher.md lists every option of the installed bubblewrap, and the named options of run exist',
  needs('bwrap'),
  () => {
    const text = readFileSync(path.join(PROJECT, 'docs/launcher.md'), 'utf8');
    const table =
      text.slice(text.indexOf('## Compared with bubblewrap')).split('\n## ', 2)[0] ?? '';
    const rows = table.split('\n').filter((line) => line.startsWith('| `'));
    const optionsIn = (column: number) =>
      new Set(rows.flatMap((row) => row.split(/(?<!\\)\|/)[column]?.match(/--[a-z0-9-]+/g) ?? []));
    const help = exec('bwrap', ['--help']).stdout.matchAll(/^ {4}(--[a-z0-9-]+)/gm);
    const theirs = [...help].map(([, name]) => name ?? '');
    assert.ok(theirs.length > 50);
    assert.deepEqual(
      theirs.filter((name) => !optionsIn(1).has(name)),
      [],
    );
    const run = jailbuild(['run', '--help']).stdout;
    assert.deepEqual(
      [...optionsIn(2)].filter((name) => !run.includes(name)),
      [],
    );
  },
);
