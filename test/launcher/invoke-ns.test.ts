import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, INVOKE_NS, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { assertEndsWith } from '../support/survivor.js';
import { tempDir } from '../support/temp-dir.js';

const invoke = (...args: string[]) => exec(INVOKE_NS, args);

describe('invoke_ns', needsRoot('ps', 'top', 'cc'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');

  before(() => {
    const programs = ['env', 'bash', 'ps', 'ls', 'top', 'mkdir', 'chroot', 'readlink', 'sleep'];
    const { status, stderr } = jailbuild([jail, ...programs, '--quiet']);
    assert.equal(status, 0, stderr);
  });

  test('gives a command its own processes, host name, /proc and root, with the options of the article', () => {
    const script = 'ps -e -o pid=,comm=; echo "host $HOSTNAME"; ls /';
    const { stdout, stderr, status } = invoke(
      ...['-pmu', 'calculus', '-c', jail, 'env', 'A=b', 'bash', '-c', script],
    );
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const lines = stdout.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));
    assert.deepEqual(lines.slice(0, 3), ['1 bash', '2 ps', 'host calculus']);
    const top = lines.slice(3, -1);
    assert.ok(top.includes('proc') && top.includes('usr') && !top.includes('home'), top.join());
    assert.notEqual(hostname(), 'calculus');
  });

  test('leaves no mounts outside, and mounts /proc with mode 0555', () => {
    invoke('-pm', '-c', jail, 'ls', '/proc/self');
    assert.equal(lstatSync(path.join(jail, 'proc')).mode & 0o7777, 0o555);
    assert.equal(exec('ls', ['-A', path.join(jail, 'proc')]).stdout, '');
    assert.doesNotMatch(exec('cat', ['/proc/mounts']).stdout, new RegExp(directory));
  });

  test('detaches the old root: a chroot within the jail does not lead out', () => {
    writeFileSync(path.join(directory, 'escape.c'), ESCAPE);
    const made = exec('cc', ['-static', '-o', path.join(jail, 'escape'), 'escape.c'], {
      cwd: directory,
    });
    assert.equal(made.status, 0, made.stderr);
    mkdirSync(path.join(jail, 'inner'));
    // With a plain chroot the same program does escape, so that the test can fail.
    assert.equal(invoke('-c', jail, '/escape').stdout, 'outside\n');
    assert.equal(invoke('-m', '-c', jail, '/escape').stdout, 'inside\n');
  });

  test('creates exactly the requested namespaces', () => {
    const asked: readonly (readonly [string, readonly string[]])[] = [
      ['pid', ['-p']],
      ['mnt', ['-m']],
      ['uts', ['-u', 'x']],
      ['net', ['-n']],
      ['ipc', ['-i', 'yes']],
    ];
    for (const [name, options] of asked) {
      for (const [other] of asked) {
        // With -p alone, /proc is the host's, where the process has another PID.
        if (other === 'pid' || (name === 'pid' && options.length > 0)) continue;
        const link = `/proc/self/ns/${other}`;
        const { stdout } = invoke(...options, 'readlink', link);
        assert.equal(stdout.trim() !== readlinkSync(link), name === other, `${name} ${other}`);
      }
    }
    const processId = ['bash', '-c', 'echo $$'];
    assert.equal(invoke('-p', ...processId).stdout, '1\n');
    assert.notEqual(invoke(...processId).stdout, '1\n');
  });

  test('brings up the loopback interface of a new network namespace, which has no other', () => {
    const { stdout } = invoke('-n', 'bash', '-c', 'cat /proc/net/dev; echo > /dev/tcp/127.0.0.1/9');
    const names = stdout.match(/^ *[^ |]+(?=:)/gm)?.map((name) => name.trim());
    assert.deepEqual(names, ['lo']);
  });

  test('clears the environment except for --env', () => {
    assert.equal(invoke('env').stdout, '');
    assert.equal(invoke('--env', 'A=b c', '--env', 'D=', 'env').stdout, 'A=b c\nD=\n');
  });

  test('returns the exit status of the command', () => {
    assert.equal(invoke('-p', 'bash', '-c', 'exit 7').status, 7);
    assert.equal(invoke('bash', '-c', 'kill -TERM $$').status, 128 + 15);
    assert.equal(invoke('-p', 'no-such-command').status, 127);
    const { status, stderr } = invoke('');
    assert.deepEqual([status, stderr], [127, 'invoke_ns: execute : No such file or directory\n']);
    assert.equal(invoke('/etc/passwd').status, 126);
  });

  test('returns it to a caller that ignores the ends of children, which the command then ignores too', () => {
    // The script that starts the program is run by a shell, which does not pass this on.
    const program = path.join(path.dirname(INVOKE_NS), `native/linux-${process.arch}/invoke_ns`);
    const ignoring = ['20', 'bash', '-c', 'trap "" CHLD; exec "$@"', 'bash', program];
    for (const options of [['-p'], ['-p', '--init']]) {
      const run = (...command: string[]) =>
        exec('timeout', ['-s', 'KILL', ...ignoring, ...options, ...command]);
      assert.equal(run('bash', '-c', 'exit 3').status, 3);
      const { stdout } = run('grep', 'SigIgn', '/proc/self/status');
      assert.equal(stdout, 'SigIgn:\t0000000000010000\n');
    }
  });

  test('reports a failed step with its path and reason, and returns 125', () => {
    const failures: readonly (readonly [readonly string[], RegExp])[] = [
      [['-c', '/no/such', 'ls'], /change the root directory to \/no\/such: No such file/],
      [['-m', '-c', '/etc/passwd', 'ls'], /\/etc\/passwd: Not a directory/],
      [['-u', 'x'.repeat(100), 'ls'], /the host name is longer than 64 bytes: x+$/m],
      [['-u', 'a\nb', 'ls'], /^invoke_ns: the host name has a control character$/m],
      [
        ['--cwd', '/no\nsuch\u009b', 'ls'],
        /change to the directory \/no\\x0asuch\\x9b: No such file/,
      ],
      [['--cwd', '/no/such', 'ls'], /change to the directory \/no\/such: No such file/],
      [['-i', 'maybe', 'ls'], /-i takes yes\|no, not: maybe/],
      [['-x'], /option.*x/],
      [['--env', '=A', 'env'], /--env takes NAME\[=VALUE\], not: =A/],
    ];
    for (const [args, expected] of failures) {
      const { status, stdout, stderr } = invoke(...args);
      assert.match(stderr, expected);
      assert.match(stderr, /^[^\n]+\n$/);
      assert.equal(stdout, '');
      assert.equal(status, 125);
    }
  });

  test('-v prints the steps of the parent and of the child', () => {
    const { stdout } = invoke('-vpmu', 'calculus', '-c', jail, 'ls', '/etc');
    assert.match(stdout, /^Parent: PID is \d+$/m);
    assert.match(stdout, /^ Child: PID is 1$/m);
    assert.match(stdout, /^ Child: setting the host name to calculus$/m);
    assert.match(stdout, /^ld\.so\.cache$/m);
    assert.match(stdout, /^Parent: the child has ended with status 0$/m);
  });

  test('-i no shares message queues with the host, -i yes does not', () => {
    assert.match(invoke('-v', '-i', 'no', 'true').stdout, /^Parent: received "hello/m);
    const apart = invoke('-v', '-i', 'yes', 'true').stdout;
    assert.match(apart, /^ Child: the message queue .* is not to be seen from here$/m);
    assert.match(apart, /^Parent: received no message$/m);
  });

  test('passes no file descriptor of the host', () => {
    const command = `exec 7< /etc 9< /etc/passwd; ${INVOKE_NS} bash -c 'ls /proc/self/fd'`;
    const { stdout } = exec('bash', ['-c', command]);
    // 3 is the directory that ls reads.
    assert.deepEqual(stdout.trim().split('\n'), ['0', '1', '2', '3']);
  });

  const running = async (args: readonly string[], ready: string) => {
    const child = spawn(INVOKE_NS, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes(ready)) break;
    }
    return child;
  };

  test('forwards signals', async () => {
    const trap = 'trap "exit 33" TERM; echo ready; while :; do sleep 0.05; done';
    const child = await running(['-pm', '-c', jail, 'bash', '-c', trap], 'ready');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [33, null]);
  });

  test('ends a first process that does not handle a signal', async () => {
    const child = await running(
      ['-pm', '-c', jail, 'bash', '-c', 'echo ready; exec sleep 60'],
      'ready',
    );
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [128 + 15, null]);
  });

  test('ends the jail when the launcher ends', async () => {
    const mark = `${process.pid}.25`;
    const child = await running(
      ['-pm', '-c', jail, 'bash', '-c', `echo ready; exec sleep 6${mark}`],
      'ready',
    );
    await assertEndsWith(child, `6${mark}`);
  });
});

/** The escape described in chroot(2): the working directory stays outside of the inner root. */
const ESCAPE = `
#include <stdio.h>
#include <unistd.h>
int main(void) {
  if (chroot("/inner") != 0) return 1;
  for (int i = 0; i < 64; i++) if (chdir("..") != 0) return 2;
  if (chroot(".") != 0) return 3;
  puts(access("/proc/self", F_OK) == 0 ? "outside" : "inside");
  return 0;
}
`;
