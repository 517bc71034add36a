import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proveInJails } from '../campaign/in-jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** One in this many programs is tried; `npm run campaign:jails` tries all. */
const EVERY = 12;

test(
  'inside a jail of its own, the loader of each program finds all libraries at the recorded places',
  needsRoot('chroot'),
  async () => {
    const result = await proveInJails(['/usr/bin', '/usr/sbin'], tempDir(), EVERY);
    assert.deepEqual(result.differences, []);
    assert.ok(result.proven >= 20, `${result.proven} jails`);
    assert.ok(result.names > result.proven, `${result.names} libraries`);
  },
);
