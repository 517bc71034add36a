import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exec, JAILBUILD } from '../support/cli.js';
import { BELOW_FOREIGN_ROOT, needsForeignRoot } from '../support/users.js';

test(
  'reads a system whose root directory belongs to nobody in the user namespace',
  needsForeignRoot(),
  () => {
    const [file, ...before] = BELOW_FOREIGN_ROOT;
    const words = ['env', 'HOME=/', process.execPath, JAILBUILD, 'tree', '/bin/sh'];
    const { status, stdout, stderr } = exec(file, [...before, ...words], {
      cwd: '/',
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /libc/);
  },
);
