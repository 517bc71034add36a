import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

test('a user unknown to the image causes a warning', () => {
  const directory = tempDir();
  const warnings = (user: string, ...more: readonly string[]): string => {
    const to = `oci:${path.join(directory, 'image')}`;
    const { status, stderr } = jailbuild([
      ...['export', 'ls', '--terminfo', 'none', '--to', to, '--user', user, '-q', ...more],
    ]);
    assert.equal(status, 0, stderr);
    return stderr;
  };
  const told = (what: string) =>
    `jailbuild: warning: the image has no ${what}: name it by number, or bring it\n`;
  assert.equal(warnings('app'), told('user app'));
  assert.equal(warnings('app:staff'), told('user app and no group staff'));
  assert.equal(warnings('root:staff', '--profile', 'base'), told('group staff'));
  assert.equal(warnings('root:root', '--profile', 'base'), '');
  assert.equal(warnings('1000:1000'), '');
});
