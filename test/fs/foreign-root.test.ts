import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exec, JAILBUILD } from '../support/cli.js';
import { needsRoot, needsThat } from '../support/need.js';

/** User 12345 as root of a user namespace, to which the owner of `/` is unknown. */
const INSIDE = [
  '--reuid=12345',
  '--regid=12345',
  '--clear-groups',
  'unshare',
  '--user',
  '--map-root-user',
];

test(
  'reads a system whose root directory belongs to nobody in the user namespace',
  needsThat(
    'user namespaces of other users, who can run this Node.js',
    () => exec('setpriv', [...INSIDE, process.execPath, '--version']).status === 0,
    needsRoot('setpriv', 'unshare'),
  ),
  () => {
    const words = ['env', 'HOME=/', process.execPath, JAILBUILD, 'tree', '/bin/sh'];
    const { status, stdout, stderr } = exec('setpriv', [...INSIDE, ...words], {
      cwd: '/',
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /libc/);
  },
);
