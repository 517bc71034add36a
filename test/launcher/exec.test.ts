import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { running as processes, until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY, onTerminal } from './support.js';

const STATUS =
  'while read -r l; do case $l in Cap*|NoNew*|Seccomp:*) echo $l;; esac; done < /proc/self/status';

describe('running jails', needsRoot('setpriv', 'script', 'stty'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const running: ChildProcess[] = [];

  const start = async (options: readonly string[], before: readonly string[] = []) => {
    const words = [...before, process.execPath, JAILBUILD, 'run', jail, ...options];
    const child = spawn(
      words[0] as string,
      [...words.slice(1), '--', 'bash', '-c', 'echo up; sleep 600; :'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    running.push(child);
    for await (const part of child.stdout ?? []) if (String(part).includes('up')) break;
    return child;
  };
  const stop = (child: ChildProcess): Promise<void> =>
    new Promise((resolve) => {
      child.on('exit', () => resolve());
      child.kill('SIGKILL');
    });
  const list = (before: readonly string[] = []) => {
    const [file = '', ...words] = [...before, process.execPath, JAILBUILD, 'ps', '--json'];
    const { jails } = JSON.parse(exec(file, words).stdout) as {
      readonly jails: readonly {
        readonly pid: number;
        readonly init: number;
        readonly root: string;
      }[];
    };
    return jails.filter(({ root }) => root === jail);
  };

  before(() => {
    buildJail(jail, ['bash', 'cat', 'env', 'id', 'ls', 'ps', 'readlink', 'sleep', 'stty']);
    for (const name of ['proc', 'dev', 'tmp', '.jailbuild'])
      mkdirSync(path.join(jail, name), { recursive: true });
    exec('chmod', ['755', directory]);
  });
  after(() => {
    for (const child of running) child.kill('SIGKILL');
  });

  test("are listed, and a command in one runs like the jail's own", async () => {
    assert.deepEqual(list(), []);
    const options = [
      '--cap-drop',
      'chown',
      '--cap-add',
      'net_raw',
      '--pids-limit',
      '30',
      '--network',
      'none',
    ];
    const child = await start([
      ...options,
      '--hostname',
      'inner',
      '--umask',
      '027',
      '--monotonic',
      '5',
    ]);
    const [one, ...more] = list();
    assert.ok(one);
    assert.deepEqual(more, []);
    const text =
      jailbuild(['ps'])
        .stdout.split('\n')
        .find((line) => line.includes(jail)) ?? '';
    assert.match(text, new RegExp(`^${one.pid} +${one.init} +\\d\\d:\\d\\d +${jail} +bash -c`));
    const inside = (script: string, ...words: string[]) =>
      jailbuild(['exec', jail, ...words, '--', 'bash', '-c', script]);
    const own = jailbuild(['run', jail, ...options, '--', 'bash', '-c', STATUS]).stdout;
    assert.equal(inside(STATUS).stdout, own);
    for (const name of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'])
      assert.equal(
        inside(`readlink /proc/self/ns/${name}`).stdout.trim(),
        readlinkSync(`/proc/${one.init}/ns/${name}`),
        name,
      );
    const shown = () => inside('ps -e -o comm=').stdout;
    await until(() => /^init\nbash\nsleep\nps\n$/.test(shown()), shown);
    assert.equal(
      inside('umask; echo $HOSTNAME; echo $A; pwd', '-e', 'A=b').stdout,
      '0027\ninner\nb\n/\n',
    );
    const groups = exec('cat', [`/proc/${one.init}/cgroup`]).stdout;
    const mine = spawn(process.execPath, [JAILBUILD, 'exec', jail, '--', 'sleep', '77.5']);
    running.push(mine);
    const pid = await until(() => processes('sleep 77.5')[0], 'the command runs');
    assert.equal(exec('cat', [`/proc/${pid}/cgroup`]).stdout, groups);
    mine.kill('SIGTERM');
    // By both of its PIDs; with its status; as another user.
    for (const number of [one.pid, one.init])
      assert.equal(jailbuild(['exec', String(number), '--', 'bash', '-c', 'exit 9']).status, 9);
    assert.equal(inside('id -u', '--user', '7').stdout, '7\n');
    assert.equal(inside('x', '--workdir', '/none').status, 125);
    assert.equal(jailbuild(['exec', jail, '--', 'none']).status, 127);
    assert.match(
      onTerminal([
        process.execPath,
        JAILBUILD,
        'exec',
        '-t',
        jail,
        '--',
        'bash',
        '-c',
        'stty size; [ -t 0 ] && echo is a terminal',
      ]),
      /^24 80\nis a terminal$/m,
    );
    await stop(child);
    const gone = jailbuild(['exec', jail, '--', 'ls']);
    assert.match(gone.stderr, /no such jail of this user is running/);
    assert.equal(gone.status, 125);
  });

  test('end together with entered commands, and are distinguished if several run at one root', async () => {
    const [one, other] = [await start([]), await start(['--user', '3'])];
    const { stderr, status } = jailbuild(['exec', jail, '--', 'ls']);
    assert.match(stderr, /2 jails run there: give a PID of \d+, \d+/);
    assert.equal(status, 2);
    const found = list().find(
      ({ pid }) =>
        exec('ps', ['-o', 'ppid=', '-p', String(pid)]).stdout.trim() === String(other.pid),
    );
    assert.equal(jailbuild(['exec', String(found?.pid), '--', 'id', '-u']).stdout, '3\n');
    const words = ['exec', String(found?.pid), '--', 'bash', '-c', 'echo up; exec sleep 600'];
    const inside = spawn(process.execPath, [JAILBUILD, ...words]);
    const ended = new Promise((resolve) => inside.on('exit', resolve));
    await new Promise((resolve) => inside.stdout.once('data', resolve));
    await stop(other);
    assert.equal(await ended, 137);
    await stop(one);
  });

  test('of a user are visible only to that user', async () => {
    const child = await start(['--overlay', 'tmpfs'], AS_NOBODY);
    assert.deepEqual(list(), []);
    const [own] = list(AS_NOBODY);
    assert.ok(own);
    const as = (before: readonly string[]) => {
      const [file = '', ...words] = [
        ...before,
        process.execPath,
        JAILBUILD,
        'exec',
        String(own.pid),
        '--',
        'id',
        '-u',
      ];
      return exec(file, words);
    };
    assert.equal(as(AS_NOBODY).stdout, '0\n');
    assert.match(as([]).stderr, /no such jail of this user/);
    await stop(child);
  });

  test('cannot be faked by the name of a process', async () => {
    const fake = `exec -a invoke_ns /bin/sleep 600`;
    const words = [
      process.execPath,
      JAILBUILD,
      'run',
      jail,
      '--',
      'bash',
      '-c',
      `echo up; ${fake}`,
    ];
    const child = spawn(words[0] as string, words.slice(1), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(child);
    for await (const part of child.stdout) if (String(part).includes('up')) break;
    assert.equal(list().length, 1);
    await stop(child);
  });

  test('are not entered if their PID was reused', () => {
    const launcher = path.join(path.dirname(JAILBUILD), 'invoke_ns');
    const { stderr, status } = exec(launcher, ['--join', `${process.pid}:1`, '/bin/true']);
    assert.match(stderr, /the jail has ended, and its process number is in use again/);
    assert.equal(status, 125);
    const own = exec(launcher, ['--join', String(process.pid), '/bin/true']);
    assert.match(own.stderr, /has no namespaces of its own/);
  });
});
