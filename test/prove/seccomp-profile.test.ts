import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

test(
  'a runtime runs a program with the profile of its trace, and denies other calls',
  needsRoot('crun'),
  () => {
    const directory = tempDir();
    const inside = (name: string): string => path.join(directory, name);
    const [jail, bundle, profile] = [inside('jail'), inside('bundle'), inside('profile.json')];
    const traced = jailbuild([
      ...[
        'trace',
        '-q',
        '-o',
        inside('t'),
        '--seccomp-profile',
        profile,
        '--',
        '/bin/cat',
        '/etc/hostname',
      ],
    ]);
    assert.equal(traced.status, 0, traced.stderr);
    const seccomp = JSON.parse(readFileSync(profile, 'utf8'));
    const [{ names }] = seccomp.syscalls;
    assert.ok(names.includes('execve') && !names.includes('mkdir') && !names.includes('mkdirat'));
    const built = jailbuild([jail, '/bin/cat', '/bin/mkdir', '--trace', inside('t'), '-q']);
    assert.equal(built.status, 0, built.stderr);
    const run = (...command: string[]) => {
      const made = jailbuild(['run', jail, '--oci-bundle', bundle, '--', ...command]);
      assert.equal(made.status, 0, made.stderr);
      const file = path.join(bundle, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      config.linux.seccomp = seccomp;
      writeFileSync(file, JSON.stringify(config));
      const words = `crun --root ${inside('crun')} --cgroup-manager=disabled run --bundle ${bundle} profile-${process.pid}`;
      // Runtimes refuse a mixture of both versions of the control groups.
      const script = `mount -t cgroup2 none /sys/fs/cgroup && exec ${words}`;
      const result = exec('unshare', ['-m', 'sh', '-c', script]);
      rmSync(bundle, { recursive: true });
      return result;
    };
    const allowed = run('/bin/cat', '/etc/hostname');
    assert.equal(allowed.status, 0, allowed.stderr);
    assert.equal(allowed.stdout, readFileSync('/etc/hostname', 'utf8'));
    const denied = run('/bin/mkdir', '/dev/shm/new');
    assert.notEqual(denied.status, 0);
    assert.match(denied.stderr, /not permitted/);
  },
);
