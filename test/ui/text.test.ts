import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSize, plural, printable } from '../../src/ui/text.js';

test('control characters cannot reach a terminal', () => {
  assert.equal(printable('a\u001b[31mb\nc\u009bd é'), 'a\\x1b[31mb\\x0ac\\x9bd é');
});

test('sizes are in binary units with one digit', () => {
  assert.equal(formatSize(17), '17 B');
  assert.equal(formatSize(1024), '1.0 KiB');
  assert.equal(formatSize(1536 * 1024), '1.5 MiB');
});

test('one is singular, everything else plural', () => {
  assert.equal(plural(1, 'file'), '1 file');
  assert.equal(plural(0, 'file'), '0 files');
  assert.equal(plural(2, 'entry', 'entries'), '2 entries');
});
