import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/errors.js';
import { JailbuildError } from '../../src/errors.js';
import { checkTarget, locateTarget } from '../../src/jail/target.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { needsRoot } from '../support/need.js';
import { manifestOf, scratch } from './support.js';

function refusal(code: ErrorCode, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof JailbuildError);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

test('the root directory is refused by any name', (t) => {
  const directory = scratch(t);
  const manifest = manifestOf(directory);
  symlinkSync('/', path.join(directory, 'link'));
  for (const name of ['/', '//', '/usr/..', path.join(directory, 'link')]) {
    assert.throws(() => checkTarget(manifest, name), refusal('TARGET_IS_ROOT', /is the root/));
  }
});

test('a file, a parent that is a file, and a dangling link are refused', (t) => {
  const directory = scratch(t);
  const manifest = manifestOf(directory);
  writeFileSync(path.join(directory, 'file'), '');
  symlinkSync('nowhere', path.join(directory, 'link'));
  for (const name of ['file', 'file/jail', 'file/a/jail', 'link', 'link/jail']) {
    assert.throws(
      () => checkTarget(manifest, path.join(directory, name)),
      refusal('TARGET_NOT_A_DIRECTORY', /(file|link): is not a directory/),
    );
  }
});

test('a target that contains sources is refused', (t) => {
  const host = scratch(t);
  mkdirSync(path.join(host, 'usr/bin'), { recursive: true });
  writeFileSync(path.join(host, 'usr/bin/ls'), 'ls');
  const manifest = manifestOf(host);
  for (const name of ['usr', 'usr/bin', '']) {
    assert.throws(
      () => checkTarget(manifest, path.join(host, name), host),
      refusal('TARGET_HOLDS_SOURCES', /being copied|contains the sysroot/),
    );
  }
  checkTarget(manifest, path.join(host, 'usr/bin/jail'), host);
});

test('a target inside a terminfo tree that is copied is refused', (t) => {
  const host = scratch(t);
  mkdirSync(path.join(host, 'lib/terminfo/x'), { recursive: true });
  writeFileSync(path.join(host, 'lib/terminfo/x/xterm'), 'xterm');
  const manifest = manifestOf(host);
  const entries = manifest.entries.map((entry): Entry => {
    return entry.path === '/lib/terminfo'
      ? { ...entry, reasons: [{ kind: 'terminfo', name: 'terminfo' }] }
      : entry;
  });
  for (const name of ['lib/terminfo/jail', 'lib/terminfo/x/a/jail']) {
    assert.throws(
      () => checkTarget({ ...manifest, entries }, path.join(host, name), host),
      refusal('TARGET_HOLDS_SOURCES', /is inside .*lib\/terminfo, which is being copied/),
    );
  }
  checkTarget({ ...manifest, entries }, path.join(host, 'lib/jail'), host);
});

test(
  'a read-only file system is refused, even if the target does not exist',
  needsRoot('mount', 'umount'),
  (t) => {
    const directory = scratch(t);
    const manifest = manifestOf(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', directory]);
    try {
      for (const name of ['', 'a/jail']) {
        assert.throws(
          () => checkTarget(manifest, path.join(directory, name)),
          refusal('TARGET_NOT_WRITABLE', /read-only file system/),
        );
      }
    } finally {
      execFileSync('umount', [directory]);
    }
  },
);

test('links in the given path are resolved once, and missing directories kept', (t) => {
  const directory = scratch(t);
  mkdirSync(path.join(directory, 'real'));
  symlinkSync('real', path.join(directory, 'link'));
  assert.deepEqual(locateTarget(path.join(directory, 'link/a/jail')), {
    path: path.join(directory, 'real/a/jail'),
    existing: path.join(directory, 'real'),
  });
});
