import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { LaunchOptions } from '../../src/launcher/options.js';
import { deniedSystemCalls } from '../../src/launcher/run.js';
import { systemdUnit } from '../../src/launcher/systemd-unit.js';
import { exec } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const COMMAND = { command: ['/bin/true'], description: 'a test' };

function settings(options: LaunchOptions): Record<string, string> {
  const lines = systemdUnit(options, COMMAND, ['mount', 'bpf']).split('\n');
  return Object.fromEntries(
    lines.map((line) => line.split(/=(.*)/s)).filter(([, value]) => value !== undefined),
  );
}

test('a unit has the same hardening as a run', () => {
  const unit = settings({
    readOnly: true,
    isolateNetwork: true,
    memory: 64 << 20,
    pids: 20,
    cpus: 1.5,
    rlimits: [{ name: 'nofile', soft: 100, hard: 'unlimited' }],
    mounts: [
      { source: '/srv/a:b', target: '/data', readOnly: true, devices: false, optional: true },
      { target: '/tmp' },
    ],
  });
  assert.equal(unit.NoNewPrivileges, 'yes');
  assert.equal(unit.PrivateNetwork, 'yes');
  assert.equal(unit.ProtectSystem, 'strict');
  assert.equal(unit.MemoryMax, '67108864');
  assert.equal(unit.MemorySwapMax, '0');
  assert.equal(unit.TasksMax, '20');
  assert.equal(unit.CPUQuota, '150%');
  assert.equal(unit.LimitNOFILE, '100:infinity');
  assert.equal(unit.BindReadOnlyPaths, '"-/srv/a\\\\:b:/data"');
  assert.equal(unit.TemporaryFileSystem, '/tmp:nosuid,nodev,mode=1777');
  assert.equal(unit.SystemCallFilter, '~mount bpf');
  assert.match(unit.CapabilityBoundingSet ?? '', /^CAP_CHOWN .*CAP_SYS_CHROOT$/);
  const open = settings({ seccomp: 'off', allowNewPrivileges: true });
  assert.equal(open.SystemCallFilter, undefined);
  assert.equal(open.NoNewPrivileges, 'no');
});

test('options that a unit cannot express are refused', () => {
  const refused: readonly LaunchOptions[] = [
    { hostname: 'x' },
    { overlay: 'tmpfs' },
    { execLabel: 'x' },
    { seccomp: '/filter.json' },
    { mounts: [{ source: '/dev', target: '/dev', readOnly: false, devices: true }] },
    { mounts: [{ option: '--dir', value: '/x', target: '/x' }] },
  ];
  for (const options of refused) {
    assert.throws(
      () => systemdUnit(options, COMMAND, []),
      { code: 'USAGE' },
      JSON.stringify(options),
    );
  }
});

test(
  'systemd accepts the unit, and reads words and variables unchanged',
  needs('systemd-analyze'),
  async () => {
    const file = path.join(tempDir(), 'odd.service');
    const odd = 'a "b" \\ $HOME $X %h \t\n;';
    const unit = systemdUnit(
      { env: { ODD: odd }, cwd: '/' },
      { command: ['/bin/sh', '-c', odd], description: '50% odd' },
      await deniedSystemCalls(),
    );
    writeFileSync(file, unit);
    const { status, stdout, stderr } = exec('systemd-analyze', ['verify', '--man=no', file]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout + stderr, '');
  },
);
