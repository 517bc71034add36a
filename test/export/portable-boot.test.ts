import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { bootDisk, kernelModule, needsKernel } from '../support/kernel.js';
import { needsThat } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** What verity images need, in the order of loading. */
const MODULES = ['loop', 'dm-mod', 'dm-bufio', 'reed_solomon', 'dm-verity', 'squashfs'];
const SYSTEMD = '/lib/systemd';
const UNITS = `${SYSTEMD}/system`;
const BUS = '/usr/share/dbus-1';
const PROGRAMS = [
  ...['systemd', 'systemd-journald', 'systemd-portabled', 'systemd-shutdown', 'systemd-udevd'].map(
    (name) => `${SYSTEMD}/${name}`,
  ),
  ...['/usr/sbin/dmsetup', 'systemctl', 'portablectl', 'journalctl', 'dbus-daemon'],
  ...['sh', 'cat', 'mount', 'umount', 'busybox'],
];
const FILES = [
  ...['basic', 'sysinit', 'sockets', 'shutdown', 'poweroff', 'umount', 'final', 'slices', 'paths']
    .concat('timers', 'local-fs', 'local-fs-pre', 'swap')
    .map((name) => `${UNITS}/${name}.target`),
  ...['dbus.service', 'dbus.socket', 'dbus-org.freedesktop.portable1.service'],
  ...['systemd-journald.service', 'systemd-journald.socket', 'systemd-journald-dev-log.socket'],
  ...['systemd-udevd.service', 'systemd-udevd-control.socket', 'systemd-udevd-kernel.socket'],
  'systemd-portabled.service',
].map((name) => (name.startsWith('/') ? name : `${UNITS}/${name}`));
const RULES = ['55-dm', '60-block', '60-persistent-storage-dm', '95-dm-notify', '99-systemd'].map(
  (name) => `/lib/udev/rules.d/${name}.rules`,
);
const OTHERS = [
  ...[`${SYSTEMD}/portable`, `${BUS}/system.conf`, '/etc/os-release'],
  ...['portable1', 'systemd1'].map((name) => `${BUS}/system.d/org.freedesktop.${name}.conf`),
  `${BUS}/system-services/org.freedesktop.portable1.service`,
  // Opened by name, for verity devices.
  '/lib/x86_64-linux-gnu/libcryptsetup.so.12',
];

const needsSystemd = needsThat(
  'systemd-portabled, udev and dbus',
  () => [...FILES, ...RULES, ...OTHERS].every((name) => exec('test', ['-e', name]).status === 0),
  needsKernel('portablectl', 'dbus-daemon', '/usr/sbin/dmsetup', 'tar2sqfs', 'busybox'),
);

/** Prints what a service printed, and how it ended, between lines with its name. */
const REPORT = `report() {
  echo "@ $1"
  # portablectl only queues the start.
  for i in $(busybox seq 600); do
    [ "$(systemctl show -p ExecMainExitTimestampMonotonic --value $1)" = 0 ] || break
    busybox sleep 0.1
  done
  # What the unit has written may still be on its way.
  journalctl --sync
  systemctl show -p Result $1
  journalctl -b -u $1 -o cat --no-pager
}`;

describe('systemd, in a machine of its own', needsSystemd, () => {
  const said = new Map<string, string>();
  let printed = '';

  before(() => {
    const directory = tempDir();
    const at = (...names: readonly string[]) => path.join(directory, ...names);
    const run = (...args: readonly string[]) => {
      const { status, stderr } = jailbuild(args);
      assert.equal(status, 0, stderr);
    };
    mkdirSync(at('images'));
    const jail = [
      'programs: [bash, cat]',
      'run:',
      '  command: [bash, -c, "echo hello from $WHO; cat /proc/self/mountinfo; echo x >/etc/x || true"]',
      '  env: { WHO: the service }',
      '  network: none',
      '  read-only: true',
    ];
    writeFileSync(at('jail.yaml'), `${jail.join('\n')}\n`);
    const from = ['export', '--from', at('jail.yaml'), '--quiet', '--to'];
    run(...from, `portable:${at('images/hello.raw')}`, '--verity');
    run(...from, `portable:${at('images/plain')}`);
    for (const kind of ['verity', 'roothash'])
      copyFileSync(at(`images/hello.${kind}`), at(`images/changed.${kind}`));
    const bytes = readFileSync(at('images/hello.raw'));
    // Content, not the tables at the end, of which the kernel reads some in any case.
    for (let offset = 1 << 14; offset < bytes.length - (1 << 16); offset += 4096)
      bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    writeFileSync(at('images/changed.raw'), bytes);

    const root = at('root');
    const include = [...FILES, ...RULES, ...OTHERS].flatMap((name) => ['--include', name]);
    run(root, ...PROGRAMS, ...include, '--user', 'messagebus', '--quiet');
    for (const name of ['dev', 'proc', 'run', 'sys', 'tmp', 'var/tmp', 'modules'])
      mkdirSync(path.join(root, name), { recursive: true });
    const write = (name: string, ...lines: readonly string[]) =>
      writeFileSync(path.join(root, name), `${lines.join('\n')}\n`, { mode: 0o755 });
    exec('cp', ['-a', at('images'), root]);
    for (const name of MODULES) copyFileSync(kernelModule(name), `${root}/modules/${name}.ko`);
    // Without one, the first boot takes presets of all units.
    write('etc/machine-id', '0123456789abcdef0123456789abcdef');
    write(
      'init',
      '#!/usr/bin/busybox sh',
      ...MODULES.map((name) => `busybox insmod /modules/${name}.ko`),
      `exec ${SYSTEMD}/systemd`,
    );
    mkdirSync(`${root}/etc/systemd/system`, { recursive: true });
    write(
      'etc/systemd/system/changed.service',
      ...['[Unit]', 'DefaultDependencies=no', '[Service]', 'Type=oneshot'],
      ...['RootImage=/images/changed.raw', 'ExecStart=/usr/bin/cat /usr/lib/os-release'],
    );
    write(
      'etc/systemd/system/trial.service',
      ...['[Unit]', 'DefaultDependencies=no', 'SuccessAction=poweroff-force'],
      'FailureAction=poweroff-force',
      'Requires=dbus.socket dbus.service systemd-journald.service systemd-udevd.service',
      'After=dbus.service systemd-journald.service systemd-udevd.service',
      ...['[Service]', 'Type=oneshot', 'ExecStart=/bin/sh /trial', 'TimeoutStartSec=infinity'],
      // The machine may be emulated on a busy one.
      'Environment=SYSTEMD_BUS_TIMEOUT=600',
    );
    const attach = 'portablectl attach --runtime --now';
    write(
      'trial',
      ...['exec >/dev/console 2>&1', REPORT],
      ...[`${attach} /images/hello.raw`, 'report hello.service'],
      ...[`${attach} --profile=trusted /images/plain`, 'report plain.service'],
      ...['systemctl start changed.service', 'report changed.service', 'echo "@ end"'],
    );
    const disk = at('root.raw');
    run('export', root, '--to', `ext4:${disk}`, '--quiet');
    const parameters = 'rw systemd.unit=trial.service systemd.default_timeout_start_sec=600';
    printed = bootDisk(disk, 'ext4', parameters);
    for (const part of printed.split('\n@ ').slice(1)) {
      const end = part.indexOf('\n');
      said.set(part.slice(0, end), part.slice(end + 1));
    }
    assert.ok(said.has('end'), printed);
  });

  for (const [name, mount] of [
    // Major number 254 is that of device mapper.
    ['hello', /^\d+ \d+ 25[0-9]:\d+ \/ \/ ro,.* - squashfs /m],
    ['plain', /^\d+ \d+ \S+ \/images\/plain \/ ro,.* - ext4 /m],
  ] as const) {
    test(`portablectl attaches ${name}, whose unit starts in its own root`, () => {
      const output = said.get(`${name}.service`) ?? '';
      assert.match(output, /^Result=success$/m, printed);
      assert.match(output, /^hello from the service$/m, printed);
      assert.match(output, mount);
      assert.match(output, /\/etc\/x: Read-only file system$/m);
      assert.doesNotMatch(output, /\/home|\/modules/);
    });
  }

  test('a changed image does not start', () => {
    const output = said.get('changed.service') ?? '';
    assert.match(output, /^Result=exit-code$/m);
    assert.match(output, /Input\/output error/);
    assert.doesNotMatch(output, /^PRETTY_NAME=/m);
  });
});
