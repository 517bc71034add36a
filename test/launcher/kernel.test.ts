import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { CAPABILITIES } from '../../src/launcher/capabilities.js';
import { type LaunchOptions, launcherArguments } from '../../src/launcher/options.js';
import { exec, jailbuild, PROJECT } from '../support/cli.js';
import { boot, needsKernel } from '../support/kernel.js';
import { tempDir } from '../support/temp-dir.js';
import { compileFixture, NOBODY } from './support.js';

const MEMORY = 32 * 1024 * 1024;
const ALL = { bounding: CAPABILITIES, ambient: [] };

/**
 * In a virtual machine: Debian's kernel, with modules, magic keys and only version 2 of control
 * groups, whatever the host has.
 */
describe('under the kernel of a distribution', needsKernel('gcc', 'busybox'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'root');
  /** The printed output, by the name of the command. */
  const said = new Map<string, string>();

  const quoted = (words: readonly string[]): string =>
    words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const run = (launch: LaunchOptions, ...command: string[]): string =>
    quoted(['/invoke_ns', ...launcherArguments('/jail', launch, command)]);
  const alone = (...words: string[]): string =>
    quoted(['/invoke_ns', '-pm', '-c', '/jail', ...words]);

  const forks = ['sh', '-c', 'for i in 1 2 3 4 5 6; do busybox sleep 2 & done; wait; echo done'];
  const cgroups = {
    mounts: [{ source: '/sys/fs/cgroup', target: '/cgroup', readOnly: true, devices: false }],
  };
  const identity = (outside: number) => [{ inside: 0, outside, count: 1 }];
  const asNobody = { userMaps: { uids: identity(NOBODY), gids: identity(NOBODY) } };
  const files = ['/proc/sysrq-trigger', '/proc/sys/kernel/modprobe'];
  const hidden = ['/proc/kcore', '/proc/keys', '/proc/timer_list'];

  const commands: Readonly<Record<string, string>> = {
    controllers: 'busybox cat /sys/fs/cgroup/cgroup.controllers',
    'little memory': run({ memory: MEMORY }, '/grow', '8'),
    'much memory': run({ memory: MEMORY }, '/grow', '100'),
    'much memory without a limit': run({}, '/grow', '100'),
    'few processes': run({ pids: 20 }, ...forks),
    'many processes': run({ pids: 4 }, ...forks),
    processors: run({ cpus: 0.5, ...cgroups }, 'sh', '-c', 'busybox cat /cgroup/jail-*/cpu.max'),
    'groups left': 'busybox ls -d /sys/fs/cgroup/jail-*',
    // In a group delegated to the user, as systemd does.
    delegated: [
      'g=/sys/fs/cgroup/user; busybox mkdir -p $g/session',
      `busybox chown -R ${NOBODY} $g; echo "+memory +pids" > /sys/fs/cgroup/cgroup.subtree_control`,
      '(echo 0 > $g/session/cgroup.procs',
      `exec /invoke_ns --user ${NOBODY} --caps none ${run({ pids: 4, ...asNobody }, ...forks)})`,
    ].join('\n'),
    ...Object.fromEntries(
      files.flatMap((file) => [
        [`${file} alone`, alone('/probe', 'open-write', file)],
        [`${file} in a jail`, run({ capabilities: ALL }, '/probe', 'open-write', file)],
      ]),
    ),
    ...Object.fromEntries(
      hidden.flatMap((file) => [
        [`${file} alone`, alone('sh', '-c', `busybox head -c 64 ${file} | busybox wc -c`)],
        [`${file} in a jail`, run({}, 'sh', '-c', `busybox head -c 64 ${file} | busybox wc -c`)],
      ]),
    ),
    'module alone': alone('/probe', 'module'),
    'module without the filter': run({ seccomp: 'off' }, '/probe', 'module'),
    // ABI 2, which does not cover truncation.
    landlock: [
      `printf 'rx:/bin\\0r:/grow\\0' > /rules`,
      `${alone('--no-new-privs', '--landlock', '/rules', 'sh', '-c', 'read -r l < /grow && echo read; busybox wc -c < /probe')}`,
    ].join('\n'),
    'module with capabilities': run({ capabilities: ALL }, '/probe', 'module'),
  };

  before(() => {
    for (const name of ['jail/bin', 'jail/cgroup', 'jail/proc', 'jail/dev', 'bin', 'dev', 'new'])
      mkdirSync(path.join(root, name), { recursive: true });
    assert.equal(exec('mknod', [`${root}/dev/console`, 'c', '5', '1']).status, 0);
    copyFileSync(path.join(PROJECT, 'dist/native/linux-x64/invoke_ns'), `${root}/invoke_ns`);
    for (const at of ['bin', 'jail/bin'])
      for (const name of ['busybox', 'sh'])
        copyFileSync('/usr/bin/busybox', `${root}/${at}/${name}`);
    for (const name of ['probe', 'grow']) compileFixture(name, `${root}/jail/${name}`);
    // The first file system of a kernel cannot be left by pivot_root(2), the next one can.
    writeFileSync(
      `${root}/init`,
      [
        ...['#!/bin/sh', 'exec 2>&1', 'busybox mkdir /proc', 'busybox mount -t proc proc /proc'],
        'busybox mount -t devtmpfs dev /dev',
        ...['echo; echo "@ initramfs"', run({}, 'sh', '-c', 'busybox ls -1 /'), 'echo "status $?"'],
        ...[
          'echo; echo "@ initramfs chroot"',
          run({ seccomp: 'off' }, '/probe', 'chroot', '/init'),
        ],
        ...['echo; echo "@ initramfs chroot alone"', `/invoke_ns -c /jail /probe chroot /init`],
        ...['busybox umount /dev', 'busybox umount /proc', 'busybox mount -t tmpfs none /new'],
        'busybox cp -a /bin /jail /invoke_ns /second /new',
        'busybox mkdir /new/proc /new/dev /new/sys',
        'exec busybox switch_root /new /second',
      ].join('\n'),
    );
    const steps = Object.entries(commands).map(
      ([name, command]) => `echo; echo "@ ${name}"\n${command}\necho "status $?"`,
    );
    writeFileSync(
      `${root}/second`,
      [
        ...['#!/bin/sh', 'exec 2>&1', 'busybox mount -t proc proc /proc'],
        ...['busybox mount -t devtmpfs dev /dev', 'busybox mount -t sysfs sys /sys'],
        ...['busybox mount -t cgroup2 none /sys/fs/cgroup', ...steps, ''],
      ].join('\n'),
    );
    for (const name of ['init', 'second', 'invoke_ns']) chmodSync(`${root}/${name}`, 0o755);
    const archive = path.join(directory, 'initrd.cpio.gz');
    assert.equal(jailbuild(['export', root, '--to', `cpio:${archive}`]).status, 0);
    const console = boot(archive);
    for (const part of console.split('\n@ ').slice(1)) {
      const end = part.indexOf('\n');
      said.set(part.slice(0, end), part.slice(end + 1).replace(/(status \d+\n)[\s\S]*$/, '$1'));
    }
    assert.equal(said.size, Object.keys(commands).length + 3, console);
  });
  const output = (name: string): string => said.get(name) ?? '';

  test('a jail runs in an initramfs, and its root cannot be left', () => {
    assert.equal(output('initramfs'), 'bin\ncgroup\ndev\ngrow\nprobe\nproc\nstatus 0\n');
    assert.match(output('initramfs chroot alone'), /^out: /);
    assert.match(output('initramfs chroot'), /^held: /);
  });

  test('the machine has version 2 of control groups, with its controllers', () => {
    for (const name of ['cpu', 'memory', 'pids'])
      assert.match(output('controllers'), new RegExp(`\\b${name}\\b`));
  });

  test('memory is limited', () => {
    assert.equal(output('little memory'), 'status 0\n');
    assert.match(output('much memory'), /status 137\n$/);
    assert.equal(output('much memory without a limit'), 'status 0\n');
  });

  test('processes are limited', () => {
    assert.equal(output('few processes'), 'done\nstatus 0\n');
    assert.match(output('many processes'), /can't fork: Resource temporarily unavailable/);
  });

  test('processor time is limited', () => {
    assert.equal(output('processors'), '50000 100000\nstatus 0\n');
  });

  test('the groups are removed', () => {
    assert.match(output('groups left'), /No such file or directory/);
  });

  test('a user can limit in a delegated group', () => {
    assert.match(output('delegated'), /can't fork: Resource temporarily unavailable/);
  });

  test('files that change the host are read-only', () => {
    for (const file of files) {
      assert.match(output(`${file} alone`), /^out: /, file);
      assert.match(output(`${file} in a jail`), /^held: .*Read-only file system/, file);
    }
  });

  test('files that reveal data of the host are hidden', () => {
    for (const file of hidden) {
      assert.match(output(`${file} alone`), /^[1-9]/, file);
      assert.equal(output(`${file} in a jail`), '0\nstatus 0\n', file);
    }
  });

  test('an older Landlock limits what it supports, with a warning', () => {
    assert.match(output('landlock'), /Landlock of this kernel \(ABI 2\) does not keep/);
    assert.match(output('landlock'), /^read$/m);
    assert.match(output('landlock'), /can't open \/probe: Permission denied/);
  });

  test('no module is loaded', () => {
    assert.match(output('module alone'), /^out: /);
    assert.match(
      output('module without the filter'),
      /^held: init_module: Operation not permitted/,
    );
    assert.match(output('module with capabilities'), /^held: init_module: Operation not permitted/);
  });
});

describe('under a kernel with SELinux instead of Landlock', needsKernel('busybox'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'root');

  let console = '';

  before(() => {
    for (const name of ['bin', 'dev', 'sys', 'mnt'])
      mkdirSync(path.join(root, name), { recursive: true });
    assert.equal(exec('mknod', [`${root}/dev/console`, 'c', '5', '1']).status, 0);
    copyFileSync(path.join(PROJECT, 'dist/native/linux-x64/invoke_ns'), `${root}/invoke_ns`);
    for (const name of ['busybox', 'sh']) copyFileSync('/usr/bin/busybox', `${root}/bin/${name}`);
    const mount = '/invoke_ns -m --filesystem tmpfs:/mnt';
    const label = '--mount-label system_u:object_r:data_t:s0:c1,c2';
    const lines = [
      ...['#!/bin/sh', 'exec 2>&1'],
      '/invoke_ns --no-new-privs --landlock /init -- /bin/busybox echo it runs; echo "status $?"',
      `${mount} ${label} -- /bin/busybox echo without SELinux`,
      'busybox mount -t sysfs sys /sys; busybox mount -t selinuxfs none /sys/fs/selinux',
      `${mount} ${label} -- /bin/busybox echo without policy`,
      `${mount} -- /bin/busybox echo unlabelled`,
    ];
    writeFileSync(`${root}/init`, `${lines.join('\n')}\n`, { mode: 0o755 });
    const archive = path.join(directory, 'initrd.cpio.gz');
    assert.equal(jailbuild(['export', root, '--to', `cpio:${archive}`]).status, 0);
    console = boot(archive, 'lsm=yama,selinux');
  });

  test('--landlock is refused', () => {
    assert.match(
      console,
      /Landlock: (Operation n|N)ot supported: it is not enabled: boot the kernel/,
    );
    assert.match(console, /status 125/);
    assert.doesNotMatch(console, /it runs/);
  });

  test('--mount-label reaches SELinux, which refuses labels before it has a policy', () => {
    assert.match(
      console,
      /runs neither SELinux nor AppArmor, .* system_u:object_r:data_t:s0:c1,c2/,
    );
    assert.match(console, /set an option of tmpfs: Invalid argument/);
    assert.match(console, /unlabelled/);
    assert.doesNotMatch(console, /without/);
  });
});
