import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasModules } from '../../../src/resolve/usage/library-modules.js';

test('modules are libraries below a directory of their package, in any library directory', () => {
  for (const directory of ['/usr/lib', '/usr/lib64', '/usr/lib/x86_64-linux-gnu']) {
    assert.equal(hasModules([`${directory}/tool/one.so`]), true, directory);
    assert.equal(hasModules([`${directory}/tool/deep/one.so`]), true, directory);
    assert.equal(hasModules([`${directory}/libtool.so`, `${directory}/tool/data`]), false);
  }
});
