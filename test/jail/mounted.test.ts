import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

test('a build names the mount that is in its way', needsRoot('unshare', 'mount'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  writeFileSync(path.join(directory, 'data'), 'one');
  const include = `${directory}/data:/srv/data`;
  assert.equal(jailbuild([jail, 'true', '--include', include, '--no-sync']).status, 0);
  writeFileSync(path.join(directory, 'data'), 'other');
  for (const [mount, at] of [
    ['mount -t tmpfs none "$1/srv"; mkdir -p "$1/srv/x"; echo old > "$1/srv/data"', 'srv'],
    ['mount --bind /etc/hostname "$1/srv/data"', 'srv/data'],
  ] as const) {
    const script = `${mount}; ${process.execPath} ${JAILBUILD} "$1" true --include ${include} --no-sync --replace-changed`;
    const { status, stderr } = exec('unshare', ['-m', 'sh', '-c', script, 'sh', jail]);
    assert.equal(status, 1, stderr);
    assert.ok(stderr.includes(`${jail}/${at} is mounted in the jail`), stderr);
  }
});

test('too few descriptors are an error, and no jail without attributes', needsRoot('sh'), () => {
  const directory = tempDir();
  for (let limit = 21; limit <= 25; limit++) {
    const script = `ulimit -n ${limit}; exec ${process.execPath} ${JAILBUILD} jail${limit} true --no-sync`;
    const { status, stderr } = exec('sh', ['-c', script], { cwd: directory });
    assert.doesNotMatch(stderr, /not built/);
    if (status !== 0) assert.match(stderr, /too many open files/i);
  }
});
