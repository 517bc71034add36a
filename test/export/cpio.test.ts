import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { cpio } from '../../src/export/cpio.js';
import { exportTree } from '../../src/export/export.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { describeTree, richTree } from './support.js';

test('cpio restores everything that the format can store', needsRoot('cpio'), async () => {
  const directory = tempDir();
  const file = path.join(directory, 'tree.cpio');
  const root = path.join(directory, 'root');
  mkdirSync(root);
  await exportTree(richTree(path.join(directory, 'source')), {
    kind: 'cpio',
    path: file,
    compression: 'none',
  });
  assert.equal(statSync(file).size % 512, 0);
  execFileSync('cpio', ['-idm', '--quiet', '--no-absolute-filenames'], {
    cwd: root,
    input: readFileSync(file),
  });
  const found = describeTree(root);
  assert.equal(Object.keys(found).length, richTree(path.join(directory, 'source')).entries.length);
  assert.match(found['/program'] ?? '', /^104755 0:0 1600000000000000000 [0-9a-f]{64} same as/);
  assert.match(found['/program-more'] ?? '', /same as \/program$/);
  assert.match(found['/null'] ?? '', /^20666 .* device 259$/);
  assert.match(found['/far-owner'] ?? '', / 3000000:4000000 /);
  assert.match(found['/link'] ?? '', / -> program$/);
});

test('bsdtar lists the same names', needsRoot('bsdtar'), async () => {
  const directory = tempDir();
  const tree = richTree(path.join(directory, 'source'));
  const file = path.join(directory, 'tree.cpio.gz');
  await exportTree(tree, { kind: 'cpio', path: file, compression: 'gzip' });
  const names = execFileSync('bsdtar', ['-tf', file], {
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
    .toString()
    .trim()
    .split('\n');
  assert.deepEqual(
    names.map((name) => `/${name.replace(/\/$/, '')}`),
    tree.entries.map((entry) => entry.path),
  );
});

test('content is stored with the last name of a file, and inode numbers start at one', () => {
  const common = { mode: '0644', uid: 0, gid: 0, mtime: '5.000000000', reasons: [] } as const;
  const content = Buffer.from('abc').toString('base64');
  const entries = [
    { ...common, path: '/a', type: 'file', size: 3, content },
    { ...common, path: '/b', type: 'file', size: 3, hardlink: '/a' },
    { ...common, path: '/c', type: 'fifo' },
  ] as const;
  const bytes = Buffer.concat([...cpio({ entries, sourceRoot: '' })]).toString('latin1');
  const headers = [
    ...bytes.matchAll(/070701([0-9A-F]{8})(?:.{24})([0-9A-F]{8}).{8}([0-9A-F]{8})/gis),
  ];
  assert.deepEqual(
    headers.map(([, inode, links, size]) => [inode, links, size].map((hex) => Number(`0x${hex}`))),
    [
      [1, 2, 0],
      [1, 2, 3],
      [2, 1, 0],
      [0, 1, 0],
    ],
  );
});

test('a file too large for the format is refused', () => {
  const size = 2 ** 32;
  const common = { mode: '0644', uid: 0, gid: 0, mtime: '5.000000000', reasons: [] } as const;
  const entries = [{ ...common, path: '/a', type: 'file', size, source: '/a' }] as const;
  assert.throws(() => [...cpio({ entries, sourceRoot: '' })], { code: 'NOT_EXPORTABLE' });
});
