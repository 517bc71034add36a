import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Entry } from '../../src/manifest/manifest.js';
import { excesses } from '../../src/plan/limits.js';
import { compareContents } from '../../src/report/compare.js';
import type { Contents, Item } from '../../src/report/contents.js';

const BASE = { mode: '0755', uid: 0, gid: 0, mtime: '1.000000000', reasons: [] } as const;

function file(path: string, size: number, more: Partial<Item> & { mode?: string } = {}): Item {
  const { mode = '0755', ...rest } = more;
  const entry: Entry = { ...BASE, mode, type: 'file', path, size };
  const isSetId = (Number.parseInt(mode, 8) & 0o6000) !== 0;
  return { entry, size, isSetId, isCapable: false, ...rest };
}

function contents(title: string, ...items: readonly Item[]): Contents {
  return { title, items, warnings: [], hints: [] };
}

describe('comparing two roots', () => {
  const old = { name: 'libc6', version: '2.36-9' };
  const current = { name: 'libc6', version: '2.41-1' };

  test('finds what was added, removed and changed, with packages and sizes', () => {
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
    assert.deepEqual(found.privileges, ['/bin/su']);
    assert.deepEqual([found.sizeBefore, found.sizeAfter], [115, 132]);
  });

  test('finds nothing in equal ones, whatever their times', () => {
    const one = file('/bin/a', 10);
    const other = { ...one, entry: { ...one.entry, mtime: '2.000000000' } };
    const found = compareContents(contents('a', one), contents('b', other));
    assert.deepEqual([found.changes, found.packages, found.privileges], [[], [], []]);
  });

  test('compares content by digests of both', () => {
    const withDigest = (digest: string): Item => {
      const item = file('/bin/a', 10);
      return { ...item, entry: { ...item.entry, digest } as Entry };
    };
    const changes = (one: Item, other: Item) =>
      compareContents(contents('a', one), contents('b', other)).changes.map(
        ({ details }) => details,
      );
    assert.deepEqual(changes(withDigest('sha256:1'), withDigest('sha256:2')), [['content']]);
    assert.deepEqual(changes(withDigest('sha256:1'), file('/bin/a', 10)), []);
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

  test('name forbidden paths and files that give rights', () => {
    assert.deepEqual(excesses(entries, { forbid: ['s*', '/bin/?'], forbidSetId: true }), [
      { path: '/bin/a', problem: 'is forbidden by --forbid /bin/?' },
      { path: '/bin/b', problem: 'is forbidden by --forbid /bin/?' },
      { path: '/bin/su', problem: 'is forbidden by --forbid s*' },
      { path: '/bin/su', problem: 'has mode 4755, but --forbid-set-id' },
      { path: '/sbin', problem: 'is forbidden by --forbid s*' },
    ]);
  });
});
