import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import { writeBlob } from '../../src/export/blobs.js';
import { checkCompression, compress } from '../../src/export/compression.js';
import { CHUNK_SIZE, CHUNKS_IN_TURN, type FileTree } from '../../src/export/file-tree.js';
import { tar } from '../../src/export/tar.js';
import { needs, needsThat } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Half of it is compressible. */
function sample(size: number): Buffer {
  const half = Math.floor(size / 2);
  return Buffer.concat([Buffer.alloc(size - half, 'compressible '), randomBytes(half)]);
}

function* chunked(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_SIZE) yield bytes.subarray(at, at + CHUNK_SIZE);
}

async function compressed(bytes: Buffer, kind: 'gzip' | 'zstd', level?: number): Promise<Buffer> {
  const choice = level === undefined ? { kind } : { kind, level };
  const parts: Buffer[] = [];
  for await (const part of compress(chunked(bytes), choice)) parts.push(part);
  return Buffer.concat(parts);
}

const SIZES = [0, 1, 1000, CHUNK_SIZE, CHUNK_SIZE + 1, 7 * CHUNK_SIZE + 12345];

test('gzip writes one member that gzip(1) and zlib read', needs('gzip'), async () => {
  for (const size of SIZES) {
    const bytes = sample(size);
    const packed = await compressed(bytes, 'gzip');
    assert.ok(zlib.gunzipSync(packed).equals(bytes));
    const { status, stdout } = spawnSync('gzip', ['-dc'], { input: packed, maxBuffer: 1 << 26 });
    assert.equal(status, 0);
    assert.ok(stdout.equals(bytes));
    // No flags, no time, no operating system (RFC 1952, section 2.3).
    assert.equal(packed.subarray(0, 10).toString('hex'), '1f8b08000000000000ff');
  }
});

test('zstd writes a frame with a checksum that zstd(1) reads', needs('zstd'), async () => {
  for (const size of SIZES) {
    const bytes = sample(size);
    const packed = await compressed(bytes, 'zstd', 5);
    const { status, stdout } = spawnSync('zstd', ['-dcq'], { input: packed, maxBuffer: 1 << 26 });
    assert.equal(status, 0);
    assert.ok(stdout.equals(bytes));
    // Content_Checksum_flag of the frame header descriptor (RFC 8878, section 3.1.1.1.1).
    assert.equal((packed[4] ?? 0) & 4, 4);
  }
});

test(
  'a reused chunk buffer does not corrupt the output, even with a slow reader',
  needs('gzip', 'zstd'),
  async () => {
    const directory = tempDir();
    const bytes = randomBytes(2 * CHUNKS_IN_TURN * CHUNK_SIZE + 77);
    writeFileSync(path.join(directory, 'large'), bytes);
    const tree: FileTree = {
      sourceRoot: directory,
      entries: [
        {
          ...{ path: '/large', type: 'file', source: '/large', size: bytes.length },
          ...{ mode: '0644', uid: 0, gid: 0, mtime: '1.000000000', reasons: [] },
        },
      ],
    };
    const expected = digestOf(tar(tree));
    for (const kind of ['gzip', 'zstd'] as const) {
      const parts: Buffer[] = [];
      for await (const part of compress(tar(tree), { kind, level: 1 })) {
        parts.push(part);
        await setTimeout(2);
      }
      const unpacked = spawnSync(kind, ['-dcq'], {
        input: Buffer.concat(parts),
        maxBuffer: 1 << 27,
      });
      assert.equal(digestOf([unpacked.stdout]), expected, kind);
    }
    const written: Buffer[] = [];
    const { digest, size } = await writeBlob(tar(tree), async (...some) => {
      await setTimeout(2);
      written.push(...some.map((chunk) => Buffer.from(chunk)));
    });
    assert.equal(digestOf(written), expected);
    assert.equal(digest, `sha256:${expected}`);
    assert.equal(size, Buffer.concat(written).length);
  },
);

function digestOf(chunks: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

test('a failed write stops compression, whatever arrives meanwhile', async () => {
  const failure = new Error('disk full');
  let count = 0;
  const chunks = (async function* () {
    for (; count < 1000; count++) {
      await setTimeout(1);
      yield Buffer.alloc(CHUNK_SIZE);
    }
  })();
  await assert.rejects(
    writeBlob(chunks, () => Promise.reject(failure)),
    failure,
  );
  assert.ok(count < CHUNKS_IN_TURN, `${count}`);
});

test('equal input is compressed to equal bytes', needs('zstd'), async () => {
  const bytes = sample(5 * CHUNK_SIZE);
  for (const kind of ['gzip', 'zstd'] as const) {
    assert.ok((await compressed(bytes, kind)).equals(await compressed(bytes, kind)));
  }
});

test('an error of the input is passed on', needs('zstd'), async () => {
  const broken = function* (): Generator<Buffer> {
    yield Buffer.alloc(10);
    throw new Error('broken');
  };
  for (const kind of ['none', 'gzip', 'zstd'] as const) {
    await assert.rejects(async () => {
      for await (const part of compress(broken(), { kind })) assert.ok(part);
    }, /broken/);
  }
});

const WITHOUT_ZSTD = needsThat('a Node without zstd', () => !('createZstdCompress' in zlib));

test('without zstd, the error names the remedy', WITHOUT_ZSTD, async () => {
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    await assert.rejects(compressed(Buffer.alloc(10), 'zstd'), { code: 'TOOL_MISSING' });
  } finally {
    process.env.PATH = path;
  }
});

test('levels are checked', () => {
  checkCompression({ kind: 'gzip', level: 9 });
  assert.throws(() => checkCompression({ kind: 'gzip', level: 10 }), { code: 'USAGE' });
  assert.throws(() => checkCompression({ kind: 'zstd', level: 20 }), { code: 'USAGE' });
  assert.throws(() => checkCompression({ kind: 'none', level: 1 }), { code: 'USAGE' });
});
