import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { checkCompression, compress } from '../../src/export/compression.js';
import { CHUNK_SIZE } from '../../src/export/file-tree.js';
import { needs } from '../support/need.js';

/** Half of it compresses, half does not. */
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

test('gzip gives one member that gzip(1) and zlib read', needs('gzip'), async () => {
  for (const size of SIZES) {
    const bytes = sample(size);
    const packed = await compressed(bytes, 'gzip');
    assert.ok(gunzipSync(packed).equals(bytes));
    const { status, stdout } = spawnSync('gzip', ['-dc'], { input: packed, maxBuffer: 1 << 26 });
    assert.equal(status, 0);
    assert.ok(stdout.equals(bytes));
    // No flags, no time, no operating system (RFC 1952, section 2.3).
    assert.equal(packed.subarray(0, 10).toString('hex'), '1f8b08000000000000ff');
  }
});

test('zstd gives a frame with a checksum that zstd(1) reads', needs('zstd'), async () => {
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

test('the same bytes are compressed to the same bytes', needs('zstd'), async () => {
  const bytes = sample(5 * CHUNK_SIZE);
  for (const kind of ['gzip', 'zstd'] as const) {
    assert.ok((await compressed(bytes, kind)).equals(await compressed(bytes, kind)));
  }
});

test('an error of what is compressed comes through', needs('zstd'), async () => {
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

test('without zstd the error says what to do', async () => {
  if ('createZstdCompress' in (await import('node:zlib'))) return;
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
