import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exec, INVOKE_NS, JAILBUILD, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { running, until } from '../support/process.js';
import { assertEndsWith } from '../support/survivor.js';
import { tempDir } from '../support/temp-dir.js';

const PROGRAMS = ['env', 'bash', 'ps', 'ls', 'top', 'sleep', 'stty'];

describe('entering a jail', needsRoot('ps', 'top', 'tmux'), () => {
  // Before the directory with the socket is removed.
  after(() => {
    tmux('kill-server');
  });
  const directory = tempDir();
  const jail = path.join(directory, 'calculus');
  const socket = path.join(directory, 'tmux');
  const tmux = (...args: string[]) => exec('tmux', ['-S', socket, '-f', '/dev/null', ...args]);

  before(() => {
    const { status, stderr } = jailbuild([jail, ...PROGRAMS, '--quiet']);
    assert.equal(status, 0, stderr);
  });

  /** Waits until the terminal shows a text, and returns the whole screen. */
  async function screen(session: string, text: RegExp): Promise<string> {
    const capture = () => tmux('capture-pane', '-p', '-t', session).stdout;
    return until(
      () => {
        const shown = capture();
        return text.test(shown) && shown;
      },
      () => `${text} on ${capture()}`,
    );
  }

  const type = (session: string, line: string) => tmux('send-keys', '-t', session, line, 'Enter');

  const article = `-c ${jail} env PS1='\\h [\\W] ' TERM=$TERM bash --norc`;
  const sessions: readonly (readonly [string, string, string])[] = [
    ['invoke_ns', 'bash', `${INVOKE_NS} -vpmu calculus ${article}`],
    [
      'run',
      'init',
      `'${process.execPath}' ${JAILBUILD} run ${jail} -- env PS1='\\h [\\W] ' bash --norc`,
    ],
  ];
  for (const [name, first, command] of sessions) {
    test(`${name}: an interactive session works on a real terminal`, async () => {
      tmux('new-session', '-d', '-s', name, '-x', '90', '-y', '30', 'bash --norc');
      type(name, `${command}; echo "left with $?"`);
      const started = await screen(name, /^calculus \[\/\]$/m);
      assert.doesNotMatch(started, /job control|cannot set terminal/);

      type(name, 'ps -e -o pid=,tty=,comm=');
      const ps = await screen(name, /\d \S+ +ps$/m);
      assert.match(ps, new RegExp(`^ +1 \\S+ +${first}$`, 'm'));
      assert.doesNotMatch(ps, /tmux/);

      type(name, 'ls -d /usr /proc/1');
      await screen(name, /^\/proc\/1 +\/usr$/m);

      type(name, 'top');
      await screen(name, first === 'init' ? /Tasks: +3 total/ : /Tasks: +2 total/);
      tmux('send-keys', '-t', name, 'q');
      await screen(name, /^calculus \[\/\]$/m);

      // Job control: a job is stopped, listed and ended.
      const job = `sleep 6${process.pid}`;
      type(name, job);
      await until(() => running(job).some(isInForeground), 'the job runs');
      tmux('send-keys', '-t', name, 'C-z');
      await screen(name, new RegExp(`Stopped +${job}`));
      type(name, 'fg');
      await screen(name, new RegExp(`^${job}$`, 'm'));
      await until(() => running(job).some(isInForeground), 'the job runs again');
      tmux('send-keys', '-t', name, 'C-c');
      type(name, 'echo "interrupted $?"');
      await screen(name, /^interrupted 130$/m);

      type(name, 'stty size');
      await screen(name, /^30 90$/m);

      type(name, 'exit 3');
      await screen(name, /left with 3/);
      // The outer shell controls its terminal again.
      type(name, 'echo back in $HOSTNAME');
      assert.doesNotMatch(await screen(name, /^back in /m), /back in calculus/);
    });
  }

  test('a background job leaves the terminal to the shell', async () => {
    const run = `'${process.execPath}' ${JAILBUILD} run ${jail} --`;
    tmux('new-session', '-d', '-s', 'jobs', '-x', '200', '-y', '40', 'bash --norc');
    // It ends while the shell controls the terminal.
    const waits = (name: string) => `until [ -e /${name} ]; do sleep 0.1; done`;
    type('jobs', `${run} bash -c 'echo started; ${waits('first')}'`);
    await screen('jobs', /^started$/m);
    tmux('send-keys', '-t', 'jobs', 'C-z');
    await screen('jobs', /^\[1\]\+ +Stopped/m);
    type('jobs', 'bg; wait; echo "the first: $?"');
    await screen('jobs', /^\[1\]\+ '/m);
    writeFileSync(path.join(jail, 'first'), '');
    await screen('jobs', /^the first: 0$/m);
    type('jobs', 'echo still "here"');
    await screen('jobs', /^still here$/m);

    // It stops there as soon as it reads from the terminal.
    tmux('send-keys', '-t', 'jobs', 'clear', 'Enter');
    type('jobs', `${run} bash -c 'read line; echo "got $line"' &`);
    await until(async () => {
      type('jobs', 'clear; jobs');
      await pause(100);
      return /^\[1\]\+ +Stopped/m.test(tmux('capture-pane', '-p', '-t', 'jobs').stdout);
    }, 'the job is stopped');
    type('jobs', 'echo and "here"');
    await screen('jobs', /^and here$/m);
    type('jobs', 'fg');
    await screen('jobs', /# fg$/m);
    type('jobs', 'a line');
    await screen('jobs', /^got a line$/m);

    // A shell that moves a running job to the foreground sends no signal.
    type('jobs', `${run} bash -c '${waits('second')}; read line; echo "got $line"' &`);
    await screen('jobs', /^\[1\] \d+$/m);
    type('jobs', 'fg');
    await screen('jobs', /# fg\n[^#]*$/);
    writeFileSync(path.join(jail, 'second'), '');
    type('jobs', 'another');
    await screen('jobs', /^got another$/m);
  });

  test('on a terminal without a shell, Ctrl-Z stops nothing', async () => {
    // It leads its session: no process could continue it.
    const run = `exec '${process.execPath}' ${JAILBUILD} run ${jail} --`;
    const script = 'echo ready; while read line; do echo "got $line"; done';
    const command = `${run} bash -c '${script}'`;
    tmux('new-session', '-d', '-s', 'alone', '-x', '90', '-y', '30', command);
    await screen('alone', /^ready$/m);
    tmux('send-keys', '-t', 'alone', 'C-z');
    type('alone', 'a line');
    await screen('alone', /got .*a line$/m);
    tmux('send-keys', '-t', 'alone', 'C-c');
  });

  test('the exit status of the command is returned', () => {
    assert.equal(jailbuild(['run', jail, '--', 'bash', '-c', 'exit 7']).status, 7);
    assert.equal(jailbuild(['run', jail, '--', 'no-such']).status, 127);
    const failed = jailbuild(['run', path.join(directory, 'none'), '--', 'ls']);
    assert.equal(failed.status, 125);
    assert.match(failed.stderr, /^jailbuild: .*\/none: no such file or directory\n$/);
  });

  test('a program with a missing interpreter is distinguished from a missing program', () => {
    const script = path.join(jail, 'usr/bin/orphan');
    writeFileSync(script, '#!/usr/bin/no-such-shell\n', { mode: 0o755 });
    const told = (command: string): string => {
      const { status, stderr } = jailbuild(['run', jail, '--', command]);
      assert.equal(status, 127);
      // Further advice is on another line.
      return stderr.replace(/^jailbuild: `jailbuild prove .*\n/m, '');
    };
    const missing = 'the interpreter that it names is not there';
    assert.equal(told('orphan'), `invoke_ns: execute orphan: ${missing}\n`);
    assert.equal(told('/usr/bin/orphan'), `invoke_ns: execute /usr/bin/orphan: ${missing}\n`);
    assert.equal(told('nobody'), 'invoke_ns: execute nobody: No such file or directory\n');
    rmSync(script);
  });

  test('a user that the namespace lacks is refused before anything starts', () => {
    const { status, stderr } = jailbuild([
      ...['run', jail, '--userns', 'root', '--user', '1000', '--', 'ls'],
    ]);
    assert.equal(
      stderr,
      'jailbuild: --user 1000: the namespace has no user 1000; --map-auto brings more\n',
    );
    assert.equal(status, 2);
  });

  test('options set the host name, the network, the directory and the environment', () => {
    const script = 'echo $HOSTNAME; pwd; echo "$A"; echo $TERM; [ -d /proc/self/ns ]';
    const { stdout, status } = jailbuild([
      ...['run', jail, '--hostname', 'other', '--network', 'none', '--workdir', '/usr'],
      ...['-e', 'A=b c', '-e', 'B=', '--', 'bash', '-c', script],
    ]);
    assert.equal(status, 0);
    assert.equal(stdout, `other\n/usr\nb c\n${process.env.TERM ?? 'dumb'}\n`);
    assert.equal(jailbuild(['run', jail, '-e', '=A', '--', 'env']).status, 2);
  });

  test('the environment is PATH, HOME and TERM', () => {
    const { stdout } = jailbuild(['run', jail, '--', 'env'], {
      env: { ...process.env, TERM: 'vt100', SECRET: 'x' },
    });
    assert.match(stdout, /^PATH=\S+\nHOME=\/\nTERM=vt100\n$/);
  });

  test('a signal to jailbuild reaches the command', async () => {
    const trap = 'trap "exit 33" TERM; echo ready; while :; do sleep 0.05; done';
    const child = spawn(process.execPath, [JAILBUILD, 'run', jail, '--', 'bash', '-c', trap]);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [33, null]);
  });

  test('the jail ends with jailbuild, even if that is killed', async () => {
    const mark = `8${process.pid}.5`;
    const script = `echo ready; exec sleep ${mark}`;
    const child = spawn(process.execPath, [JAILBUILD, 'run', jail, '--', 'bash', '-c', script]);
    await once(child.stdout, 'data');
    await assertEndsWith(child, mark);
  });

  test('--run builds and enters in one command', () => {
    const target = path.join(directory, 'both');
    const { stdout, status } = jailbuild([
      ...[target, 'bash', 'ps', '--quiet', '--run', '--', 'bash', '-c', 'ps -e -o comm=; exit 5'],
    ]);
    assert.equal(stdout, 'init\nbash\nps\n');
    assert.equal(status, 5);
  });
});

/** Whether a process belongs to the foreground process group of its terminal (proc(5), stat). */
function isInForeground(pid: number): boolean {
  const [, , group, , , foreground] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return group === foreground;
}
