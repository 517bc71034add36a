import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild, PROJECT, succeed } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('an impossible observation is refused with one line', needs('gcc'), () => {
  const directory = tempDir();
  const inside = (name: string): string => path.join(directory, name);
  const [deny, jail, file] = [inside('deny'), inside('jail'), inside('trace')];
  const refused = (before: readonly string[], words: readonly string[], message: RegExp) => {
    const [program = '', ...rest] = [...before, process.execPath, JAILBUILD, ...words];
    const { status, stderr, stdout } = exec(program, rest);
    assert.deepEqual([status, stdout], [125, ''], stderr);
    assert.match(stderr, /^jailbuild: [^\n]*\n$/);
    assert.match(stderr, message);
    assert.ok(!existsSync(file), 'a trace was written');
  };
  const trace = (...options: string[]) => ['trace', '-o', file, ...options, '--', '/bin/true'];

  before(() => {
    const source = path.join(PROJECT, 'fixtures/observer/deny.c');
    succeed('gcc', ['-static', '-O1', '-o', deny, source]);
    assert.equal(jailbuild([jail, '/bin/true', '-q']).status, 0);
  });

  test('if ptrace is denied', () => {
    const message =
      /the command cannot be observed: ptrace\(2\) is denied here, .*: use --mechanism notify/;
    refused([deny, 'ptrace'], trace(), message);
    refused([deny, 'ptrace'], ['prove', jail, '--', '/bin/true'], message);
    refused([deny, 'ptrace'], ['run', jail, '--observe', '--', '/bin/true'], message);
    const [program = '', ...rest] = [deny, 'ptrace', process.execPath, JAILBUILD];
    const json = exec(program, [...rest, ...trace('--json')]);
    assert.equal(JSON.parse(json.stdout).error.code, 'OBSERVATION_FAILED', json.stdout);
    // The other mechanism does not use ptrace.
    const notified = exec(program, [...rest, ...trace('-q', '--mechanism', 'notify')]);
    assert.deepEqual([notified.status, notified.stderr], [0, '']);
    assert.ok(existsSync(file));
    succeed('rm', [file]);
  });

  test('if seccomp is denied', () => {
    const message = /the kernel refuses a system call filter \(Operation not permitted\)/;
    refused([deny, 'seccomp'], trace(), message);
    refused([deny, 'seccomp'], trace('--mechanism', 'notify'), message);
  });

  test('if the memory of processes cannot be read', () => {
    const message =
      /reading its memory \(process_vm_readv\(2\)\) is denied here, by a system call filter or a security module: allow it/;
    for (const mechanism of ['ptrace', 'notify']) {
      refused([deny, 'process_vm_readv'], trace('--mechanism', mechanism), message);
      // Also refused for a program found on PATH: it is not run.
      const words = ['trace', '-o', file, '--mechanism', mechanism, '--', 'sh', '-c', 'echo ran'];
      refused([deny, 'process_vm_readv'], words, message);
    }
    refused([deny, 'process_vm_readv'], ['prove', jail, '--', '/bin/true'], message);
  });

  test('if the security module Yama denies it', needsRoot('unshare'), () => {
    // Independent of this kernel's settings: a fake file is mounted, and the call is denied as Yama
    // does.
    const script = (scope: number) =>
      `mount -t tmpfs none /proc/sys/kernel && mkdir -p /proc/sys/kernel/yama && echo ${scope} > /proc/sys/kernel/yama/ptrace_scope && exec "$@"`;
    for (const [scope, who] of [
      [2, 'root alone'],
      [3, 'nobody'],
    ] as const) {
      const before = ['unshare', '-m', 'sh', '-c', script(scope), 'sh', deny, 'ptrace'];
      const message = `kernel\\.yama\\.ptrace_scope is ${scope}, which allows that to ${who}: lower it\n`;
      refused(before, trace(), new RegExp(message));
      const hidden = [...before.slice(0, -1), 'process_vm_readv'];
      refused(hidden, trace('--mechanism', 'notify'), new RegExp(message));
    }
  });

  test('if the command is already traced', needs('strace'), () => {
    const message = /process \d+ already traces it: start the command without that tracer/;
    refused(['strace', '-f', '-o', '/dev/null'], trace(), message);
  });

  test('a command that cannot be executed returns its status and leaves no trace', () => {
    for (const [name, status] of [
      ['no-such-command', 127],
      ['/etc/passwd', 126],
    ] as const) {
      for (const mechanism of ['ptrace', 'notify']) {
        const words = ['trace', '--mechanism', mechanism, '-o', file, '--', name];
        const run = jailbuild(words);
        assert.deepEqual([run.status, existsSync(file)], [status, false], run.stderr);
        assert.equal(run.stderr.trimEnd().split('\n').length, 1, run.stderr);
      }
    }
  });
});
