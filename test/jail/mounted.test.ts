import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const FRONT = path.join(path.dirname(JAILBUILD), 'jailbuild');

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

test(
  'too few file descriptors cause an error instead of a jail without attributes',
  needsRoot('sh'),
  () => {
    const directory = tempDir();
    for (let limit = 21; limit <= 25; limit++) {
      const script = `ulimit -n ${limit}; exec ${process.execPath} ${JAILBUILD} jail${limit} true --no-sync`;
      const { status, stderr } = exec('sh', ['-c', script], { cwd: directory });
      assert.doesNotMatch(stderr, /not built/);
      if (status !== 0) assert.match(stderr, /too many open files/i);
    }
  },
);

test(
  'the native front fails with too few file descriptors, and keeps attributes with enough',
  needsRoot('sh', 'setfattr', 'getfattr'),
  () => {
    const directory = tempDir();
    const script = `cp /bin/true marked && setfattr -n user.kept -v yes marked || exit 9
      for limit in 16 24 31; do
        (ulimit -n $limit; exec ${FRONT} jail ./marked -q --digests --no-sync) 2>> errors && exit 8
      done
      ulimit -n 32; exec ${FRONT} jail ./marked -q --digests --no-sync`;
    const { status, stderr } = exec('sh', ['-c', script], { cwd: directory });
    const errors = readFileSync(`${directory}/errors`, 'utf8').trim().split('\n');
    assert.equal(errors.length, 3, errors.join());
    for (const line of errors) assert.match(line, /^jailbuild: too many open files: the limit is/);
    if (status !== 0) assert.match(stderr, /too many open files/i);
    else assert.match(succeed('getfattr', [`${directory}/jail${directory}/marked`]), /user\.kept/);
  },
);
