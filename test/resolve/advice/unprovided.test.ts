import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadProfiles } from '../../../src/profile/load.js';
import { unprovided } from '../../../src/resolve/advice/unprovided.js';
import { jailbuild } from '../../support/cli.js';
import { tempDir } from '../../support/temp-dir.js';

test('what a program fails without is told with the profile that has it', () => {
  assert.deepEqual(unprovided(['/usr/bin/env', '/usr/bin/python3.11', '/usr/sbin/nginx']), [
    "/usr/bin/python3.11: Python's standard library is not in the jail: add --profile python",
    '/usr/sbin/nginx: the configuration of nginx is not in the jail: add --profile nginx',
  ]);
  assert.deepEqual(
    unprovided([
      ...['/usr/bin/python3', '/usr/bin/python3.11', '/opt/lib/python3.11/os.py'],
      ...['/usr/sbin/nginx', '/etc/nginx/nginx.conf'],
      ...['/usr/bin/perl', '/usr/share/perl/5.36.0/strict.pm'],
      ...['/srv/python3', '/usr/bin/python-config'],
    ]),
    [],
  );
});

describe('the profile brings it', () => {
  for (const [program, profile] of [
    ['python3', 'python'],
    ['perl', 'perl'],
    ['nginx', 'nginx'],
  ] as const) {
    const isThere = ['/usr/bin', '/usr/sbin'].some((bin) => existsSync(`${bin}/${program}`));
    test(program, { skip: isThere ? false : `needs ${program}` }, () => {
      assert.equal(loadProfiles([profile]).at(-1)?.name, profile);
      const warnings = (...args: readonly string[]) =>
        jailbuild([`${tempDir()}/jail`, ...args, '--dry-run'], {
          env: { ...process.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
        }).stderr;
      assert.match(warnings(program), new RegExp(`: add --profile ${profile}\n`));
      assert.doesNotMatch(warnings(program, '--profile', profile), /add --profile/);
    });
  }
});
