import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('write-back to the disk', needsRoot('strace'), () => {
  const calls = (...options: readonly string[]) => {
    const directory = tempDir();
    const log = path.join(directory, 'log');
    const trace = ['-f', '-qq', '-o', log, '-e', 'trace=sync_file_range,syncfs'];
    const words = [process.execPath, JAILBUILD, `${directory}/jail`, 'ls', '-q', ...options];
    const { status, stderr } = exec('strace', [...trace, ...words]);
    assert.equal(status, 0, stderr);
    return readFileSync(log, 'utf8').match(/sync\w+(?=\()/g) ?? [];
  };

  test('starts with each copy, and is waited for once', () => {
    const made = calls();
    assert.equal(made.at(-1), 'syncfs');
    assert.equal(made.filter((name) => name === 'syncfs').length, 1);
    assert.ok(made.filter((name) => name === 'sync_file_range').length > 2);
  });

  test('is left to the kernel with --no-sync', () => {
    assert.deepEqual(calls('--no-sync'), []);
  });
});
