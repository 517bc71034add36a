import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ftruncateSync, lstatSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Compression } from '../../src/export/compression.js';
import { exportParts } from '../../src/export/export.js';
import type { FileTree } from '../../src/export/file-tree.js';
import { nativeProgram } from '../../src/fs/native-program.js';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot, needsThat } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { richTree } from './support.js';

const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;
const MIB = 1 << 20;
const NATIVE = needsThat(
  'the native writer',
  () => nativeProgram('jail_engine').found !== undefined,
);

function write(
  tree: FileTree,
  file: string,
  compression: Compression,
  skipDigest: boolean,
  kind: 'tar' | 'cpio' = 'tar',
) {
  return exportParts([{ tree, options: { skipDigest } }], { kind, path: file, compression });
}

describe('an archive written without its digest', needs('zstd'), () => {
  test('has the same bytes as one with it', async () => {
    const directory = tempDir();
    const tree = richTree(path.join(directory, 'source'));
    for (const kind of ['tar', 'cpio'] as const) {
      for (const compression of COMPRESSIONS) {
        const [one, other] = [`${directory}/${kind}.${compression}`, `${directory}/undigested`];
        const { digest, size } = await write(tree, one, compression, false, kind);
        const undigested = await write(tree, other, compression, true, kind);
        const bytes = readFileSync(one);
        assert.ok(readFileSync(other).equals(bytes), `${kind} ${compression}`);
        assert.equal(digest, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
        assert.equal('digest' in undigested, false);
        assert.equal(undigested.size, bytes.length);
        assert.equal(size, bytes.length);
      }
    }
  });

  test('has holes where its sources have them', NATIVE, async () => {
    const directory = tempDir();
    const size = 16 * MIB + 99;
    const fd = openSync(`${directory}/holes`, 'w');
    for (const at of [0, 7 * MIB]) writeSync(fd, 'data', at);
    ftruncateSync(fd, size);
    const tree: FileTree = {
      sourceRoot: directory,
      entries: [
        {
          ...{ path: '/holes', type: 'file', source: '/holes', size },
          ...{ mode: '0644', uid: 0, gid: 0, mtime: '1.000000000', reasons: [] },
        },
      ],
    };
    await write(tree, `${directory}/one.tar`, 'none', false);
    await write(tree, `${directory}/other.tar`, 'none', true);
    const bytes = readFileSync(`${directory}/other.tar`);
    assert.ok(bytes.equals(readFileSync(`${directory}/one.tar`)));
    assert.ok(bytes.subarray(512, 512 + size).equals(readFileSync(`${directory}/holes`)));
    const { blocks } = lstatSync(`${directory}/other.tar`);
    assert.ok(blocks * 512 < 8 * MIB, String(blocks));
  });

  test('leaves nothing behind if a source has changed', async () => {
    const directory = tempDir();
    const { entries, sourceRoot } = richTree(path.join(directory, 'source'));
    const changed = entries.map((entry) =>
      entry.path === '/program' && entry.type === 'file' ? { ...entry, size: 99 } : entry,
    );
    for (const compression of COMPRESSIONS) {
      const tree = { sourceRoot, entries: changed };
      await assert.rejects(write(tree, `${directory}/out`, compression, true), {
        code: 'SOURCE_CHANGED',
      });
      assert.deepEqual(readdirSync(directory), ['source']);
    }
  });

  test('leaves nothing behind on a full file system', needsRoot('unshare', 'mount', 'zstd'), () => {
    const directory = tempDir();
    const script = `
      mount -t tmpfs -o size=64k tmpfs "$1" || exit 99
      status=0
      "$2" "$3" export /bin/bash --quiet --to "tar:$1/out$4" || status=$?
      ls -A "$1"
      exit $status`;
    for (const suffix of ['', '.gz', '.zst']) {
      const args = ['sh', directory, process.execPath, JAILBUILD, suffix];
      const { status, stdout, stderr } = exec('unshare', ['-m', 'sh', '-c', script, ...args]);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /No space left on device/i, suffix);
      assert.equal(stdout, '', suffix);
    }
  });
});

test('the command computes the digest for whoever reads it, --quiet or not', () => {
  const directory = tempDir();
  const [archive, digestFile] = [`${directory}/out.tar`, `${directory}/digest`];
  const command = ['export', '/bin/true', '--quiet', '--to', `tar:${archive}`] as const;
  const { status } = jailbuild([...command, '--digest-file', digestFile]);
  assert.equal(status, 0);
  const digest = `sha256:${createHash('sha256').update(readFileSync(archive)).digest('hex')}`;
  assert.equal(readFileSync(digestFile, 'utf8'), `${digest}\n`);
  assert.equal(JSON.parse(jailbuild([...command, '--json']).stdout).digest, digest);
});

test(
  'a full file system is reported with the name of the archive',
  needsRoot('unshare', 'mount', 'zstd'),
  () => {
    const place = tempDir();
    const script =
      'mount -t tmpfs -o size=1m none "$1" && "$2" "$3" export bash --to "$4" --quiet; echo $?; ls -A "$1"';
    for (const name of ['a.tar', 'a.tar.gz', 'a.tar.zst']) {
      const words = ['sh', place, process.execPath, JAILBUILD, `tar:${place}/${name}`];
      const { stdout, stderr } = exec('unshare', ['--mount', 'sh', '-c', script, ...words]);
      assert.equal(stderr, `jailbuild: ${place}/${name}: no space left on device\n`);
      assert.equal(stdout, '1\n');
    }
  },
);
