import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proveInJails } from '../campaign/in-jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Take one program of so many; `npm run campaign:jails` takes all. */
const EVERY = 12;

test(
  "in a jail of its own, each program's loader finds all at the same places",
  needsRoot('chroot'),
  async () => {
    const result = await proveInJails(['/usr/bin', '/usr/sbin'], tempDir(), EVERY);
    assert.deepEqual(result.differences, []);
    assert.ok(result.proven >= 20, `${result.proven} jails`);
    assert.ok(result.names > result.proven, `${result.names} libraries`);
  },
);
