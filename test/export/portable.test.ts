import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { sha256 } from './support.js';

const JAIL = [
  'programs: [bash, cat]',
  'run:',
  '  command: [bash, -c, "exec cat /etc/os-release"]',
  '  env: { GREETING: "100% $HOME" }',
  '  workdir: /work',
  '  user: 12:34',
  '  tmpfs: [/cache]',
  '  memory: 64M',
  '  network: none',
  '  read-only: true',
];

function jailFile(...more: readonly string[]): string {
  const directory = tempDir();
  writeFileSync(path.join(directory, 'jail.yaml'), `${[...JAIL, ...more].join('\n')}\n`);
  return directory;
}

test(
  'a portable service has a unit that systemd accepts, and the directories it mounts over',
  needsRoot('systemd-analyze'),
  () => {
    const directory = jailFile();
    const place = path.join(directory, 'hello_1.2');
    const { status, stderr } = jailbuild([
      'export',
      '--from',
      `${directory}/jail.yaml`,
      '--to',
      `portable:${place}`,
      '-q',
    ]);
    assert.equal(status, 0, stderr);
    const unit = `${place}/usr/lib/systemd/system/hello.service`;
    const lines = readFileSync(unit, 'utf8').split('\n');
    for (const line of [
      'ExecStart=/usr/bin/bash -c "exec cat /etc/os-release"',
      'Environment="GREETING=100%% $HOME"',
      'WorkingDirectory=/work',
      'User=12',
      'Group=34',
      'TemporaryFileSystem=/cache:nosuid,nodev,mode=0755',
      'MemoryMax=67108864',
      'PrivateNetwork=yes',
      'ProtectSystem=strict',
      'NoNewPrivileges=yes',
    ]) {
      assert.ok(lines.includes(line), `${line} is missing in ${lines.join('\n')}`);
    }
    const verified = exec('systemd-analyze', ['verify', '--man=no', unit]);
    assert.equal(verified.status, 0, verified.stderr);
    assert.equal(verified.stderr, '');
    assert.match(readFileSync(`${place}/etc/os-release`, 'utf8'), /^PORTABLE_PREFIXES=hello$/m);
    for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'var/tmp', 'work', 'cache']) {
      assert.ok(lstatSync(`${place}/${name}`).isDirectory(), name);
    }
    assert.equal(readFileSync(`${place}/etc/machine-id`, 'utf8'), '');
  },
);

test('its image is the same each time, for every user', needs('tar2sqfs', 'unsquashfs'), () => {
  const directory = jailFile();
  const [one, two] = ['one', 'two'].map((name) => path.join(directory, name, 'app.raw')) as [
    string,
    string,
  ];
  for (const file of [one, two]) {
    mkdirSync(path.dirname(file));
    const args = ['export', '--from', `${directory}/jail.yaml`, '--to', `portable:${file}`, '-q'];
    const { status, stderr } = jailbuild(args);
    assert.equal(status, 0, stderr);
  }
  assert.equal(sha256(one), sha256(two));
  assert.match(succeed('unsquashfs', ['-l', one]), /usr\/lib\/systemd\/system\/app\.service$/m);
});

test(
  "the unit runs the command of the jail's record, unless the command line gives one",
  needsRoot('tar2sqfs', 'unsquashfs'),
  () => {
    const directory = jailFile();
    const jail = path.join(directory, 'jail');
    assert.equal(jailbuild([jail, '--file', `${directory}/jail.yaml`, '-q']).status, 0);
    const unitOf = (...args: readonly string[]) => {
      const image = path.join(directory, 'app.raw');
      const { status, stderr } = jailbuild([
        'export',
        jail,
        '--to',
        `portable:${image}`,
        '-q',
        ...args,
      ]);
      assert.equal(status, 0, stderr);
      return succeed('unsquashfs', ['-cat', image, '/usr/lib/systemd/system/app.service']);
    };
    const recorded = unitOf();
    assert.match(recorded, /^ExecStart=\/usr\/bin\/bash -c "exec cat \/etc\/os-release"$/m);
    assert.match(recorded, /^User=12$/m);
    const given = unitOf('--env', 'X=y', '--user', '7:8', '--', 'cat', '/etc/machine-id');
    assert.match(given, /^ExecStart=\/usr\/bin\/cat \/etc\/machine-id$/m);
    assert.match(given, /^User=7$/m);
    assert.match(given, /^Environment=X=y$/m);
  },
);

test(
  'the unit of a verity image shares the IPC namespace, and the user is told',
  needs('tar2sqfs', 'unsquashfs', '/usr/sbin/veritysetup'),
  () => {
    const directory = jailFile();
    const image = path.join(directory, 'app.raw');
    const settingOf = (from: string, ...args: readonly string[]) => {
      const words = ['export', '--from', from, '--to', `portable:${image}`, ...args];
      const { status, stderr } = jailbuild(words);
      assert.equal(status, 0, stderr);
      const unit = ['-cat', image, '/usr/lib/systemd/system/app.service'];
      const setting = /^PrivateIPC=.*$/m.exec(succeed('unsquashfs', unit))?.[0];
      return { setting, isTold: /app\.service: shares the IPC namespace/.test(stderr) };
    };
    const file = `${directory}/jail.yaml`;
    assert.deepEqual(settingOf(file), { setting: 'PrivateIPC=yes', isTold: false });
    assert.deepEqual(settingOf(file, '--verity'), { setting: 'PrivateIPC=no', isTold: true });
    const accepting = `${jailFile('  ipc: host')}/jail.yaml`;
    assert.deepEqual(settingOf(accepting, '--verity'), { setting: 'PrivateIPC=no', isTold: false });
  },
);

test('an invalid portable service is refused in one line', () => {
  const directory = jailFile('  overlay: tmpfs');
  const from = ['export', '--from', `${directory}/jail.yaml`, '--to'];
  fails('USAGE', /--overlay: a systemd unit cannot express this option: leave it out/, [
    ...from,
    `portable:${directory}/a.raw`,
  ]);
  fails('USAGE', /a b is not a name of a service/, [
    'export',
    'cat',
    '--to',
    `portable:${directory}/a b.raw`,
  ]);
  fails('USAGE', /--entrypoint applies to images/, [
    'export',
    'cat',
    '--to',
    `portable:${directory}/a.raw`,
    '--entrypoint',
    'x',
  ]);
  fails('PROGRAM_NOT_FOUND', /nosuch: is not in the root/, [
    'export',
    'cat',
    '--to',
    `portable:${directory}/a.raw`,
    '--',
    'nosuch',
  ]);
  fails(
    'USAGE',
    /--to portable adds files to the tree and cannot be combined with another --to: export it separately/,
    ['export', 'cat', '--to', `portable:${directory}/a.raw`, '--to', `tar:${directory}/a.tar`],
  );
  assert.deepEqual(readdirSync(directory), ['jail.yaml']);
  assert.equal(existsSync(`${directory}/a.raw`), false);
});
