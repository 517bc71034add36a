import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { compareInRandomRoots } from '../campaign/random-roots.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const CASES = 200;

// The fixtures test the intended rules; random roots find unexpected combinations. `npm run
// campaign:roots` makes thousands.
const NEEDS = existsSync('/lib64/ld-linux-x86-64.so.2')
  ? needsRoot('busybox', '/lib/ld-musl-x86_64.so.1')
  : { skip: 'needs x86-64' };

test('in random roots, jailbuild finds the same libraries as the loaders', NEEDS, async () => {
  const result = await compareInRandomRoots(CASES, 20, tempDir());
  for (const { ours, theirs, file } of result.differences.slice(0, 3)) {
    assert.deepEqual(ours, theirs, file);
  }
  assert.equal(result.differences.length, 0);
  // Roots in which nothing or everything is found would prove little.
  const { names, missing, stops, crashes } = result;
  assert.ok(names > CASES && missing > CASES / 4 && stops > 2, JSON.stringify(result));
  assert.ok(crashes < CASES / 50, `${crashes} crashes`);
});
