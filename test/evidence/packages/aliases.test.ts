import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unmerged } from '../../../src/evidence/packages/aliases.js';

test('a path before the merge of /usr is that of a directory that the merge replaced by a link', () => {
  assert.equal(unmerged('/usr/bin/sh'), '/bin/sh');
  assert.equal(unmerged('/usr/lib64/libc.so.6'), '/lib64/libc.so.6');
  for (const path of ['/bin/sh', '/usr/lib', '/usr/libexec/x', '/usr/local/bin/x', '/usr/bins/x']) {
    assert.equal(unmerged(path), path);
  }
});
