import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { Cleanup } from '../support/cleanup.js';
import { exec, JAILBUILD } from '../support/cli.js';
import { buildJail, chrootInJail, runInJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Time limit for a program to draw its screen, in milliseconds: generous, for a loaded machine. */
const PATIENCE = 120_000;
const PAUSE = 50;

describe('users at a terminal in a jail', needsRoot('tmux', 'less', 'vi', 'top'), () => {
  const cleanup = new Cleanup();
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const text = Array.from({ length: 200 }, (_, line) => `line ${line + 1}\n`).join('');
  let count = 0;
  const tmux = (...args: readonly string[]) =>
    exec('tmux', ['-L', `jailbuild-${process.pid}-${count}`, '-f', '/dev/null', ...args]);

  before(() => {
    const file = path.join(directory, 'text');
    writeFileSync(file, text);
    buildJail(jail, [
      '--profile',
      'interactive',
      '-p',
      'devices',
      '--include',
      `${file}:/root/text`,
    ]);
    cleanup.add(() => tmux('kill-server'));
  });

  /** Starts a command in the jail on a screen of its own. */
  function start(...command: readonly string[]): void {
    tmux('kill-server');
    count++;
    const line = [process.execPath, JAILBUILD, 'run', jail, '--workdir', '/root', '--', ...command];
    // The pane stays after the program has ended.
    const { status, stderr } = tmux(
      ...[
        'new-session',
        '-d',
        '-x',
        '90',
        '-y',
        '24',
        `${line.map((word) => `'${word}'`).join(' ')}; echo "ended $?"; sleep 60`,
      ],
    );
    assert.equal(status, 0, stderr);
  }

  async function screen(expected: RegExp): Promise<string> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const { stdout } = tmux('capture-pane', '-p');
      if (expected.test(stdout)) return stdout;
      assert.ok(Date.now() < deadline, `never ${expected} on the screen:\n${stdout}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  const keys = (...names: readonly string[]) => tmux('send-keys', ...names);

  test('top shows the processes of the jail, and redraws', async () => {
    start('top', '-d', '0.3');
    const first = await screen(/PID USER .*COMMAND[\s\S]*\btop\b/);
    assert.match(first, /^top - /);
    assert.match(first, /Tasks: +[1-3] total/);
    keys('1');
    await screen(/%Cpu0 /);
    keys('q');
    await screen(/ended 0/);
  });

  test('less pages, searches and jumps to the end', async () => {
    start('less', 'text');
    await screen(/^line 1$/m);
    keys('/line 150', 'Enter');
    await screen(/^line 150$/m);
    keys('G');
    await screen(/^line 200$[\s\S]*\(END\)/m);
    keys('q');
    await screen(/ended 0/);
  });

  test('vi edits a file', async () => {
    start('vi', 'text');
    await screen(/^line 23$/m);
    keys('G', 'o', 'written in the jail', 'Escape');
    await screen(/^written in the jail$/m);
    keys(':wq', 'Enter');
    await screen(/ended 0/);
    assert.equal(
      readFileSync(path.join(jail, 'root/text'), 'utf8'),
      `${text}written in the jail\n`,
    );
  });

  test('bash has the prompt of the profile, job control and line editing', async () => {
    start('bash', '--norc');
    await screen(/^\[root@jail ~?[^ ]*\]#/m);
    keys("sh -c 'echo up; exec sleep 100'", 'Enter');
    await screen(/^up$/m);
    keys('C-z');
    await screen(/Stopped +sh -c/);
    // Without the wait, bash may still report the job as stopped.
    keys('kill %1; wait; echo $((6 * 7))', 'Enter');
    await screen(/^42$/m);
    keys('ls /et', 'Tab');
    await screen(/ls \/etc\/$/m);
    keys('C-u', 'exit', 'Enter');
    await screen(/ended/);
  });
});

describe('scripts in a jail', needsRoot('bash', 'busybox'), () => {
  const directory = tempDir();

  test('a shell runs pipes, here-documents and background jobs', () => {
    const jail = path.join(directory, 'shell');
    buildJail(jail, ['--profile', 'shell', '--profile', 'devices']);
    const script = `
set -eu
sort -r <<END > /tmp/list
a
b
END
sleep 0.01 & wait $!
for f in $(cat /tmp/list); do printf '%s.' "$f"; done
test -d /tmp && id -un
echo text | sed s/t/T/g | grep -c TexT
tar -czf /tmp/etc.tgz /etc 2>/dev/null && tar -tzf /tmp/etc.tgz | grep -x etc/hosts
`;
    const { stdout } = runInJail(jail, ['sh', '-c', script]);
    assert.equal(stdout, 'b.a.root\n1\netc/hosts\n');
  });

  test('BusyBox is a shell with its commands', () => {
    const jail = path.join(directory, 'busybox');
    buildJail(jail, ['--profile', 'busybox']);
    const script =
      'busybox ls /etc | busybox grep -c passwd; busybox --install -s /tmp; /tmp/wc -c < /etc/hostname || /tmp/echo none';
    const { stdout } = runInJail(jail, ['busybox', 'sh', '-c', script]);
    assert.match(stdout, /^1\n/);
    assert.match(stdout, /none\n$/);
  });
});

describe('text and time in a jail', needsRoot('wc', 'date', 'bash'), () => {
  const jail = path.join(tempDir(), 'jail');
  before(() =>
    buildJail(jail, [
      'wc',
      'date',
      'bash',
      'expr',
      'ls',
      ...['locale', 'tz', 'base'].flatMap((name) => ['-p', name]),
    ]),
  );

  test('C.UTF-8 counts and prints characters', () => {
    const count = (language: string) =>
      runInJail(jail, ['wc', '-m'], ['-e', `LC_ALL=${language}`], {
        input: 'grün €\n',
      }).stdout.trim();
    assert.equal(count('C.UTF-8'), '7');
    assert.equal(count('C'), '10');
    const script = 'name=grün; : > /tmp/$name; expr length $name; ls --quoting-style=locale /tmp';
    const { stdout } = runInJail(jail, ['bash', '-c', script], ['-e', 'LANG=C.UTF-8']);
    assert.equal(stdout, '4\n‘grün’\n');
  });

  test('every time zone has the right time', () => {
    const at = (zone: string) =>
      runInJail(
        jail,
        ['date', '-d', '@1782000000', '+%H:%M %Z'],
        ['-e', `TZ=${zone}`],
      ).stdout.trim();
    assert.equal(at('Europe/Berlin'), '02:00 CEST');
    assert.equal(at('Asia/Tokyo'), '09:00 JST');
    assert.equal(at('UTC'), '00:00 UTC');
  });
});

describe('debuggers in a jail', needsRoot('strace', 'gdb', 'unshare'), () => {
  const jail = path.join(tempDir(), 'jail');
  before(() => buildJail(jail, ['--profile', 'debug'], /^(jailbuild: advice: .*\n)?$/));

  test('strace shows which files a program opens', () => {
    const { status, stderr } = chrootInJail(jail, [
      'strace',
      '-f',
      '-e',
      'trace=openat',
      'sh',
      '-c',
      'cat /etc/hosts',
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /openat\(AT_FDCWD, "\/etc\/hosts", O_RDONLY\) += 3/);
    assert.match(stderr, /\+\+\+ exited with 0 \+\+\+/);
  });

  test('gdb stops a program, and its Python works', () => {
    const commands = [
      '-ex',
      'catch syscall exit_group',
      '-ex',
      'run',
      '-ex',
      'python print(6 * 7)',
      '-ex',
      'info registers rip',
      '-ex',
      'kill',
    ];
    const { stdout, stderr } = chrootInJail(jail, [
      'gdb',
      '-nx',
      '-batch',
      ...commands,
      '--args',
      '/bin/true',
    ]);
    assert.match(stdout, /Catchpoint 1 \(call to syscall exit_group\)/, stderr);
    assert.match(stdout, /^42$/m);
    assert.match(stdout, /^rip +0x/m);
  });
});
