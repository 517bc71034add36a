import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { readCacheFile, storeCacheFile } from '../../src/fs/cache-directory.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const MOST = 100;

describe('a file of a cache', () => {
  test('is stored and read again', () => {
    const file = path.join(tempDir(), 'cache/jailbuild/file');
    storeCacheFile(file, 'text');
    assert.equal(readCacheFile(file, MOST)?.toString(), 'text');
    assert.equal(statSync(path.dirname(file)).mode & 0o777, 0o700);
    assert.equal(readCacheFile(file, 3), undefined);
    storeCacheFile(file, 'other');
    assert.equal(readFileSync(file, 'utf8'), 'other');
  });

  test('creates nothing below a directory that others can write to', () => {
    const directory = tempDir();
    chmodSync(directory, 0o777);
    storeCacheFile(path.join(directory, 'cache/jailbuild/file'), 'text');
    assert.deepEqual(readdirSync(directory), []);
  });

  test('creates nothing in the home of another user', needsRoot(), () => {
    const directory = path.join(tempDir(), 'home');
    mkdirSync(directory);
    chownSync(directory, 1234, 1234);
    storeCacheFile(path.join(directory, '.cache/jailbuild/file'), 'text');
    assert.deepEqual(readdirSync(directory), []);
  });
});
