import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Entry, FileEntry } from '../../src/manifest/manifest.js';
import { timestamp } from '../../src/manifest/timestamp.js';
import { excesses } from '../../src/plan/limits.js';
import { compareContents } from '../../src/report/compare.js';
import type { Contents, Item } from '../../src/report/contents.js';
import { tempDir } from '../support/temp-dir.js';

const BASE = { mode: '0755', uid: 0, gid: 0, mtime: '1.000000000', reasons: [] } as const;

function file(path: string, size: number, more: Partial<Item> & { mode?: string } = {}): Item {
  const { mode = '0755', ...rest } = more;
  const entry: Entry = { ...BASE, mode, type: 'file', path, size };
  const isSetId = (Number.parseInt(mode, 8) & 0o6000) !== 0;
  return { entry, size, isSetId, isCapable: false, isUnused: false, ...rest };
}

function contents(title: string, ...items: readonly Item[]): Contents {
  return { title, items, warnings: [], hints: [], advice: [], missing: [], sourceRoot: '' };
}

describe('comparing two roots', () => {
  const old = { name: 'libc6', version: '2.36-9' };
  const current = { name: 'libc6', version: '2.41-1' };

  test('finds added, removed and changed files, with packages and sizes', () => {
    const before = contents(
      'a',
      file('/bin/a', 10),
      file('/bin/su', 5),
      file('/lib/c', 100, { owner: old }),
    );
    const after = contents(
      'b',
      file('/bin/b', 7),
      file('/bin/su', 5, { mode: '4755' }),
      file('/lib/c', 120, { owner: current }),
    );
    const found = compareContents(before, after);
    assert.deepEqual(found.changes, [
      { kind: 'removed', path: '/bin/a', before: 10, details: [] },
      { kind: 'added', path: '/bin/b', after: 7, details: [] },
      { kind: 'changed', path: '/bin/su', before: 5, after: 5, details: ['mode 0755 -> 4755'] },
      {
        kind: 'changed',
        path: '/lib/c',
        before: 100,
        after: 120,
        package: 'libc6',
        details: ['size 100 -> 120', 'package libc6 2.36-9 -> libc6 2.41-1'],
      },
    ]);
    assert.deepEqual(found.packages, [
      { name: 'libc6', before: '2.36-9', after: '2.41-1', sizeChange: 20 },
    ]);
    assert.deepEqual(found.privileges, [{ path: '/bin/su', after: 'set-user-ID' }]);
    assert.deepEqual([found.sizeBefore, found.sizeAfter], [115, 132]);
  });

  test('finds no differences in equal roots, whatever their times', () => {
    const one = file('/bin/a', 10);
    const other = { ...one, entry: { ...one.entry, mtime: '2.000000000' } };
    const found = compareContents(contents('a', one), contents('b', other));
    assert.deepEqual([found.changes, found.packages, found.privileges], [[], [], []]);
  });

  test('compares content by digest, and reads files without one', () => {
    const directory = tempDir();
    writeFileSync(path.join(directory, 'a'), '0123456789');
    const mtime = timestamp(statSync(path.join(directory, 'a'), { bigint: true }).mtimeNs);
    const one = 'sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882';
    const item = (more: Partial<FileEntry>): Item => {
      const made = file('/bin/a', 10);
      return { ...made, entry: { ...made.entry, ...more } as Entry };
    };
    const compare = (before: Item, after: Item) => {
      const [left, right] = [contents('a', before), contents('b', after)];
      const found = compareContents(left, { ...right, sourceRoot: directory });
      return [found.changes.map(({ details }) => details), found.notCompared];
    };
    assert.deepEqual(compare(item({ digest: one }), item({ digest: 'sha256:2' })), [
      [['content']],
      [],
    ]);
    const readable = item({ source: '/a', mtime });
    assert.deepEqual(compare(item({ digest: one }), readable), [[], []]);
    assert.deepEqual(compare(item({ digest: 'sha256:2' }), readable), [[['content']], []]);
    assert.deepEqual(compare(item({ content: 'MDEyMzQ1Njc4OQ==' }), readable), [[], []]);
    assert.deepEqual(compare(item({ content: 'MDEyMzQ1Njc4OB==' }), readable), [[['content']], []]);
    // The source no longer matches the record.
    const stale = item({ source: '/a', mtime: '1.000000000' });
    assert.deepEqual(compare(item({ digest: one }), stale), [[], ['/bin/a']]);
  });

  test('lists differing reasons and privileges, but does not count reasons as differences', () => {
    const withReasons = (...kinds: string[]): Item => {
      const made = file('/lib/a', 10);
      const reasons = kinds.map((by) => ({ kind: 'interpreter', of: by }) as const);
      return { ...made, entry: { ...made.entry, digest: 'sha256:1', reasons } as Entry };
    };
    const found = compareContents(
      contents('a', withReasons('/bin/x', '/bin/y')),
      contents('b', withReasons('/bin/y', '/bin/z')),
    );
    assert.deepEqual(found.changes, []);
    assert.deepEqual(found.reasons, [
      {
        path: '/lib/a',
        added: ['interpreter of /bin/z'],
        removed: ['interpreter of /bin/x'],
      },
    ]);
    const ping = file('/bin/ping', 10, { isCapable: true });
    // cap_net_raw=ep, as libcap writes it.
    const xattrs = { 'security.capability': 'AQAAAgAgAAAAAAAAAAAAAAAAAAA=' };
    const capable = { ...ping, entry: { ...ping.entry, digest: 'sha256:1', xattrs } as Entry };
    const plain = file('/bin/ping', 10);
    const other = { ...plain, entry: { ...plain.entry, digest: 'sha256:1' } as Entry };
    const lost = compareContents(contents('a', capable), contents('b', other));
    assert.deepEqual(lost.privileges, [{ path: '/bin/ping', before: 'cap_net_raw=ep' }]);
    assert.deepEqual(lost.changes[0]?.details, ['capabilities cap_net_raw=ep -> none']);
  });

  test('omits packages if one root has no package database', () => {
    const owned = file('/lib/c', 100, { owner: old });
    const found = compareContents(contents('a', owned), contents('b', file('/lib/c', 120)));
    assert.deepEqual(found.packages, []);
    assert.deepEqual(found.changes[0]?.details, ['size 100 -> 120']);
  });
});

describe('limits', () => {
  const entries: readonly Entry[] = [
    { ...BASE, type: 'directory', path: '/bin' },
    { ...BASE, type: 'file', path: '/bin/a', size: 600 },
    { ...BASE, type: 'file', path: '/bin/b', size: 600, hardlink: '/bin/a' },
    { ...BASE, type: 'file', path: '/bin/su', size: 5, mode: '4755' },
    { ...BASE, type: 'symlink', path: '/sbin', target: 'bin' },
  ];

  test('count each file once, and no directories', () => {
    assert.deepEqual(excesses(entries, { maxSize: 605, maxFiles: 4 }), []);
    assert.deepEqual(excesses(entries, { maxSize: 604, maxFiles: 3 }), [
      { path: '/', problem: 'contains 605 B, but --max-size allows 604 B' },
      { path: '/', problem: 'contains 4 files, but --max-files allows 3' },
    ]);
  });

  test('name forbidden paths and files that grant privileges', () => {
    assert.deepEqual(excesses(entries, { forbid: ['s*', '/bin/?'], forbidSetId: true }), [
      { path: '/bin/a', problem: 'is forbidden by --forbid /bin/?' },
      { path: '/bin/b', problem: 'is forbidden by --forbid /bin/?' },
      { path: '/bin/su', problem: 'is forbidden by --forbid s*' },
      { path: '/bin/su', problem: 'has mode 4755, which --forbid-set-id refuses' },
      { path: '/sbin', problem: 'is forbidden by --forbid s*' },
    ]);
  });
});
