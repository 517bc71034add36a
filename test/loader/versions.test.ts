import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { compareVersions } from '../campaign/versions.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const CASES = 200;

// `npm run campaign:versions` makes thousands.
const NEEDS = existsSync('/lib64/ld-linux-x86-64.so.2')
  ? needsRoot('busybox')
  : { skip: 'needs x86-64' };

test('jailbuild and the loader agree on random symbol versions', NEEDS, async () => {
  const { differences, kinds } = await compareVersions(CASES, 7, tempDir());
  for (const { ours, theirs, root } of differences.slice(0, 3))
    assert.deepEqual(ours, theirs, root);
  assert.equal(differences.length, 0);
  for (const kind of ['missing', 'bare', 'weak', 'stops']) {
    assert.ok((kinds.get(kind) ?? 0) > 0, `no case of ${kind}`);
  }
});
