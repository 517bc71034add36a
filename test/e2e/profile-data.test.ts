import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { buildJail, runInJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();

test(
  'the profile shell contains the common commands of scripts',
  needsRoot('chroot', 'gzip', 'awk'),
  () => {
    const jail = path.join(directory, 'shell');
    buildJail(jail, ['--profile', 'shell']);
    const script = `set -e
cd /
printf 'a 1\\nb 2\\n' > f
test "$(awk '{ s += $2 } END { print s }' f)" = 3
dd if=f of=g bs=4 count=1 2>&1
cmp=$(wc -c < g); test "$cmp" = 4
du f
df / || test -z "$(ls /proc 2>&1)" || true
gzip -k f; test "$(zcat f.gz | head -n 1)" = 'a 1'
rm f; gunzip f.gz; test -f f
egrep '^(a|b)' f; fgrep 1 f
sync`;
    const { status, stdout, stderr } = exec('chroot', [jail, '/bin/sh', '-c', script]);
    assert.equal(status, 0, stdout + stderr);
  },
);

test('the profile perl explains diagnostics', needsRoot('chroot', '/usr/bin/perl'), () => {
  const jail = path.join(directory, 'perl');
  buildJail(jail, ['--profile', 'perl']);
  const code = 'use diagnostics; use warnings; my $x; print $x + 1;';
  const run = runInJail(jail, ['perl', '-e', code]);
  assert.match(run.stderr, /\(W uninitialized\)/);
});

describe('time zones', needsRoot('chroot', 'php'), () => {
  for (const zone of ['host', 'UTC', 'Europe/Berlin']) {
    test(`${zone}: PHP, which reads the directory itself, has the right time`, () => {
      const jail = path.join(directory, `php-${zone.replaceAll('/', '-')}`);
      const { status, stderr } = jailbuild([jail, 'php', '--tz', zone]);
      assert.equal(status, 0, stderr);
      const code = 'echo date("Y") >= 2024 ? "time" : "none";';
      const run = exec('chroot', [jail, 'php', '-n', '-r', code]);
      assert.equal(run.stdout, 'time', `${run.signal} ${run.stderr}`);
      assert.equal(run.stderr, '');
    });
  }
});
