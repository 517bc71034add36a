import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { AccountRequest } from '../../src/manifest/account-request.js';
import { additionsOf } from '../../src/profile/expand.js';
import { resolve } from '../../src/resolve/resolve.js';
import { jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { tempDir } from '../support/temp-dir.js';

const LINE = 'x\nevil:*:0:0::/:/bin/sh';
const BAD: readonly Partial<AccountRequest>[] = [
  ...['gecos', 'home', 'shell'].flatMap((field) => [
    { [field]: `/${LINE}` },
    { [field]: '/a:/bin/sh' },
    { [field]: '/a\r' },
    { [field]: '/a\0' },
  ]),
  ...[LINE, 'a:b', '', '+', '#x', 'a,b', '../x'].map((name) => ({ name })),
  { uid: -1 },
  { uid: 0xffff_ffff },
  { gid: 1.5 },
  { home: '/../../x' },
];

test('no field of an account can add a line to the account files', () => {
  for (const wrong of BAD) {
    const users = [{ name: 'web', uid: 1234, ...wrong }];
    const request = { programs: [], users, terminfo: 'none' } as const;
    assert.throws(() => resolve(request, { additions: additionsOf(request) }), {
      code: 'USAGE',
      message: /^user /,
    });
  }
});

test('a home belongs to its user, and one below /run, which the system creates at each start, to root', () => {
  const owners = ['/run/web', '/var/lib/web-home'].map((home) => {
    const users = [{ name: 'web', uid: 1234, home }];
    const file = path.join(tempDir(), 'jail.yaml');
    writeFileSync(file, JSON.stringify({ programs: ['true'], users }));
    const done = jailbuild(['--file', file, `${tempDir()}/jail`, '--dry-run', '--json']);
    assert.equal(done.status, 0, done.stderr);
    const { entries } = JSON.parse(done.stdout) as { entries: Record<string, unknown>[] };
    const { mode, uid } = entries.find((entry) => entry.path === home) ?? {};
    return [mode, uid];
  });
  assert.deepEqual(owners, [
    ['0755', 0],
    ['0700', 1234],
  ]);
});

/** Jail files and profiles with one bad field each. */
const FILES: Readonly<Record<string, string>> = {
  gecos: 'users:\n  - name: web\n    uid: 1234\n    gecos: "x\\nevil:*:0:0::/:/bin/sh"\n',
  home: 'users:\n  - name: web\n    uid: 1234\n    home: "/a:/bin/sh"\n',
  shell: 'users:\n  - name: web\n    uid: 1234\n    shell: "/bin/sh\\n"\n',
};

for (const [field, users] of Object.entries(FILES)) {
  test(`a bad ${field} in a jail file or profile is refused with its position`, () => {
    const directory = tempDir();
    writeFileSync(path.join(directory, 'jail.yaml'), `root: jail\nprograms: ["true"]\n${users}`);
    writeFileSync(path.join(directory, 'profile.yaml'), `summary: x\n${users}`);
    fails('JAIL_FILE_INVALID', new RegExp(`jail.yaml:6:\\d+: users\\[0\\].${field} is `), [], {
      cwd: directory,
    });
    fails(
      'PROFILE_INVALID',
      new RegExp(`profile.yaml:5:\\d+: users\\[0\\].${field} is `),
      ['jail', 'true', '-p', './profile.yaml'],
      { cwd: directory },
    );
  });
}

test('valid fields are written as given', () => {
  const directory = tempDir();
  mkdirSync(path.join(directory, 'x'));
  const users =
    'users: [{name: web, uid: 1234, gecos: "Wéb, R. 12", home: /srv/w, shell: /bin/sh}]\n';
  writeFileSync(path.join(directory, 'jail.yaml'), `root: jail\nprograms: ["true"]\n${users}`);
  const { status, stderr } = jailbuild(['--no-sync', '-f', 'jail.yaml'], { cwd: directory });
  assert.equal(status, 0, stderr);
  const passwd = readFileSync(path.join(directory, 'jail/etc/passwd'), 'utf8');
  assert.equal(passwd, 'web:*:1234:1234:Wéb, R. 12:/srv/w:/bin/sh\n');
});
