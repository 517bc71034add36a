import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exportTree } from '../../src/export/export.js';
import { paxRecord, tarHeader } from '../../src/export/tar.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { BINARY, CAPABILITY, DEEP, describeTree, LONG_NAME, richTree, xattr } from './support.js';

async function archive(directory: string): Promise<string> {
  const file = path.join(directory, 'tree.tar');
  const tree = richTree(path.join(directory, 'source'));
  await exportTree(tree, { kind: 'tar', path: file, compression: 'none' });
  return file;
}

const EXTRACTORS = {
  tar: (file: string, to: string) => [
    'tar',
    ['-xpf', file, '-C', to, '--xattrs', '--xattrs-include=*', '--numeric-owner'],
  ],
  bsdtar: (file: string, to: string) => ['bsdtar', ['-xpf', file, '-C', to, '--numeric-owner']],
} as const;

for (const [name, extract] of Object.entries(EXTRACTORS)) {
  test(`${name} restores everything in a tree`, needsRoot(name, 'getfattr'), async () => {
    const directory = tempDir();
    const file = await archive(directory);
    const root = path.join(directory, 'root');
    mkdirSync(root);
    const [program, args] = extract(file, root) as [string, string[]];
    // bsdtar refuses names with characters that the locale lacks.
    execFileSync(program, args, { stdio: 'pipe', env: { ...process.env, LC_ALL: 'C.UTF-8' } });

    const found = describeTree(root);
    const owner = (at: string) => found[at]?.split(' ')[1];
    const mode = (at: string) => found[at]?.split(' ')[0];
    assert.equal(mode('/program'), '104755');
    assert.match(found['/program-link'] ?? '', /same as \/program$/);
    assert.match(found['/program-more'] ?? '', /same as \/program$/);
    assert.equal(mode('/empty'), '41777');
    assert.equal(mode('/null'), '20666');
    assert.match(found['/null'] ?? '', / device 259$/);
    assert.equal(owner('/loop'), '0:6');
    assert.equal(lstatSync(`${root}/loop`).rdev, (7 << 8) | (300 & 0xff) | ((300 & ~0xff) << 12));
    assert.equal(mode('/pipe'), '10600');
    assert.match(found['/link'] ?? '', / -> program$/);
    assert.ok(found['/long-link']?.endsWith(` -> ${LONG_NAME}/../program`));
    assert.equal(statSync(`${root}/${LONG_NAME}`).size, 10);
    assert.equal(statSync(`${root}/ünïcode`).size, 8);
    assert.equal(owner('/far-owner'), '3000000:4000000');
    assert.match(found['/precise'] ?? '', / 1234567890123456789 /);
    assert.equal(statSync(root + DEEP).size, 5);
    assert.equal(mode('/deep'), '40750');
    assert.equal(xattr(`${root}/ping`, 'user.binary'), BINARY.toString('hex'));
    assert.equal(xattr(`${root}/ping`, 'security.capability'), CAPABILITY.toString('hex'));
    assert.throws(() => xattr(`${root}/ping`, 'security.selinux'), 'labels of the host stay there');
  });
}

test('members above 8 GiB and times after 2242 are stored', needsRoot('tar', 'bsdtar'), () => {
  const file = path.join(tempDir(), 'large.tar');
  const size = 9 * 2 ** 30;
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 9_000_000_000_000_000_000n } as const;
  const header = tarHeader({ name: 'large', type: 'file', size, ...attributes });
  writeFileSync(file, header);
  // A sparse file costs neither time nor space.
  const fd = openSync(file, 'r+');
  ftruncateSync(fd, header.length + size + 1024);
  closeSync(fd);
  assert.match(execFileSync('tar', ['-tvf', file]).toString(), / 9663676416 2255-03-14 .* large/);
  assert.match(execFileSync('bsdtar', ['-tvf', file]).toString(), / 9663676416 .*2255 large/);
});

test('the length of a pax record includes its own digits', () => {
  for (let length = 0; length < 1200; length++) {
    const record = paxRecord('key', Buffer.alloc(length, 'x'));
    assert.equal(Number.parseInt(record.toString('latin1'), 10), record.length);
  }
});

test('content that tar cannot represent is refused', () => {
  const member = { name: 'x', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0n } as const;
  const xattrs = { 'user.a=b': '' };
  assert.throws(() => tarHeader({ ...member, type: 'file', xattrs }), { code: 'NOT_EXPORTABLE' });
  const device = { ...member, type: 'character-device', major: 2 ** 24, minor: 0 } as const;
  assert.throws(() => tarHeader(device), { code: 'NOT_EXPORTABLE' });
});
