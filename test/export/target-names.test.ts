import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Destination } from '../../src/export/destination.js';
import { exportTree } from '../../src/export/export.js';
import { imageXattrs } from '../../src/export/target-names.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const PLATFORM = { os: 'linux', architecture: 'amd64' } as const;

function tree(...made: readonly (Partial<Entry> & Pick<Entry, 'path' | 'type'>)[]) {
  const common = { mode: '0644', uid: 0, gid: 0, mtime: '1600000000.000000000', reasons: [] };
  return { entries: made.map((entry) => ({ ...common, ...entry }) as Entry), sourceRoot: '' };
}

const file = (at: string) => ({ path: at, type: 'file', size: 2, content: 'eAo=' }) as const;

function forms(directory: string): readonly Destination[] {
  return [
    { kind: 'oci', path: path.join(directory, 'layout'), tag: 'latest' },
    { kind: 'oci-archive', path: path.join(directory, 'oci.tar'), tag: 'latest' },
    { kind: 'docker-archive', path: path.join(directory, 'docker.tar') },
  ];
}

const WHITEOUTS = {
  'a whiteout': [{ path: '/lib', type: 'directory' }, file('/lib/.wh.libc.so.6')],
  'an opaque directory': [file('/.wh..wh..opq')],
  'an entry named as a deletion of a directory': [{ path: '/.wh.etc', type: 'directory' }],
  'a device that stands for a deletion': [
    { path: '/gone', type: 'character-device', major: 0, minor: 0 },
  ],
} as const;

for (const [name, entries] of Object.entries(WHITEOUTS)) {
  test(`${name} is refused by image formats`, async () => {
    const directory = tempDir();
    for (const form of forms(directory)) {
      await assert.rejects(
        exportTree(tree(...entries), form, { platform: PLATFORM }),
        (error: Error & { code?: string }) =>
          error.code === 'NOT_EXPORTABLE' && error.message.includes(entries.at(-1)?.path ?? '-'),
      );
    }
    assert.deepEqual(readdirSync(directory), []);
  });
}

test(
  'archives keep names with a special meaning elsewhere',
  needs('tar', 'bsdtar', 'cpio', 'bsdcpio'),
  async () => {
    const directory = tempDir();
    const names = ['.wh.libc.so.6', '@LongLink', 'GNUSparseFile.0', 'PaxHeaders', '._double'];
    const made = tree(...names.sort().map((name) => file(`/${name}`)));
    const tar = path.join(directory, 'tree.tar');
    const cpio = path.join(directory, 'tree.cpio');
    await exportTree(made, { kind: 'tar', path: tar, compression: 'none' });
    await exportTree(made, { kind: 'cpio', path: cpio, compression: 'none' });
    for (const [program, ...args] of [
      ['tar', '-xf', tar],
      ['bsdtar', '-xf', tar],
      ['sh', '-c', `cpio -i --quiet < ${cpio}`],
      ['sh', '-c', `bsdcpio -i --quiet < ${cpio}`],
    ] as const) {
      const to = path.join(directory, `${program}${args.at(-1)?.slice(0, 4)}`.replaceAll('/', '_'));
      mkdirSync(to);
      execFileSync(program, args, { cwd: to, stdio: 'pipe' });
      assert.deepEqual(readdirSync(to).sort(), names, `${program} ${args.join(' ')}`);
    }
  },
);

test('the name that ends a cpio archive is refused there, and kept below a directory', async () => {
  const directory = tempDir();
  const to = (name: string): Destination => ({
    kind: 'cpio',
    path: path.join(directory, name),
    compression: 'none',
  });
  await assert.rejects(exportTree(tree(file('/TRAILER!!!'), file('/z')), to('a')), {
    code: 'NOT_EXPORTABLE',
    path: '/TRAILER!!!',
  });
  const below = tree({ path: '/a', type: 'directory' }, file('/a/TRAILER!!!'), file('/z'));
  await exportTree(below, to('b'));
  writeFileSync(path.join(directory, 'count'), '');
  const names = execFileSync('sh', ['-c', `cpio -t --quiet < ${path.join(directory, 'b')}`]);
  assert.deepEqual(names.toString().trim().split('\n'), ['a', 'a/TRAILER!!!', 'z']);
});

test('attributes of overlay file systems are not stored in an image', () => {
  const xattrs = { 'user.overlay.opaque': 'eQ==', 'user.containers.override_stat': 'eQ==' };
  assert.deepEqual(imageXattrs({ ...xattrs, 'user.mine': 'eQ==' }), { 'user.mine': 'eQ==' });
});
