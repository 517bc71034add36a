import assert from 'node:assert/strict';
import { lstatSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { describeDifference, differences, isCopyOf } from '../../src/manifest/differences.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { timestamp } from '../../src/manifest/timestamp.js';
import { tempDir } from '../support/temp-dir.js';

function stat(file: string) {
  return lstatSync(file, { bigint: true });
}

/** Returns the entry that describes a file. */
function entryOf(file: string): Extract<Entry, { type: 'file' }> {
  const { mode, uid, gid, size, mtimeNs } = stat(file);
  return {
    type: 'file',
    path: '/file',
    mode: (Number(mode) & 0o7777).toString(8).padStart(4, '0'),
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
    mtime: timestamp(mtimeNs),
    reasons: [],
  };
}

function found(entry: Entry, file: string, owner?: Parameters<typeof differences>[2]['owner']) {
  const readTarget = () => 'elsewhere';
  const expectation = owner === undefined ? { readTarget } : { readTarget, owner };
  return differences(entry, stat(file), expectation).map(describeDifference);
}

describe('differences between an entry and a file', () => {
  const file = path.join(tempDir(), 'file');
  writeFileSync(file, 'content', { mode: 0o644 });

  test('are none for an unchanged file', () => {
    assert.deepEqual(found(entryOf(file), file), []);
  });

  test('include each changed attribute', () => {
    const entry = entryOf(file);
    const other: Entry = {
      ...entry,
      mode: '0600',
      uid: entry.uid + 1,
      gid: entry.gid + 2,
      size: 9,
    };
    assert.deepEqual(found(other, file), [
      'mode 0600 -> 0644',
      `uid ${entry.uid + 1} -> ${entry.uid}`,
      `gid ${entry.gid + 2} -> ${entry.gid}`,
      'size 9 -> 7',
    ]);
    const { size, ...rest } = entry;
    assert.deepEqual(found({ ...rest, type: 'fifo' }, file), ['type fifo -> file']);
  });

  test('exclude owners and set-id bits if the builder cannot set them', () => {
    const entry = entryOf(file);
    const other = { ...entry, uid: entry.uid + 1, mode: '4644' };
    assert.deepEqual(found(other, file, 'any'), []);
    assert.deepEqual(found(other, file, { uid: entry.uid, gid: entry.gid }), []);
    assert.deepEqual(found(other, file), [
      'mode 4644 -> 0644',
      `uid ${entry.uid + 1} -> ${entry.uid}`,
    ]);
  });

  test('include the target of a link', () => {
    const link = path.join(tempDir(), 'link');
    symlinkSync('here', link);
    const { size, ...rest } = entryOf(link);
    const entry: Entry = { ...rest, type: 'symlink', target: 'here' };
    assert.deepEqual(found(entry, link), ['target here -> elsewhere']);
  });
});

describe('modification times', () => {
  test("are equal if they differ only by the rounding of Node's utimes", () => {
    const directory = tempDir();
    const source = path.join(directory, 'source');
    const copy = path.join(directory, 'copy');
    writeFileSync(source, 'x', { mode: 0o644 });
    writeFileSync(copy, 'x', { mode: 0o644 });
    let cut = 0;
    for (let at = 1; at < 2000; at++) {
      // Near today's date, doubles count seconds in steps of 0.24 µs.
      const seconds = 1_700_000_000 + at * 7.000_001_357;
      utimesSync(source, seconds, seconds);
      const entry = entryOf(source);
      const exact = BigInt(entry.mtime.replace('.', '')) + 999n;
      utimesSync(copy, Number(exact) / 1e9, Number(exact) / 1e9);
      const planned = { ...entry, mtime: timestamp(exact) };
      if (stat(copy).mtimeNs !== exact) cut++;
      assert.deepEqual(found(planned, copy), []);
    }
    assert.ok(cut > 1000, `${cut} times were rounded`);
  });

  test('differ if they are 2 µs apart', () => {
    const entry = { size: 1, mtime: '100.000000000' };
    const at = (mtimeNs: bigint) => isCopyOf(entry, { size: 1, mtimeNs });
    const second = 100_000_000_000n;
    assert.deepEqual([at(second + 1_999n), at(second - 1_999n)], [true, true]);
    assert.deepEqual([at(second + 2_000n), at(second - 2_000n)], [false, false]);
    assert.equal(isCopyOf(entry, { size: 2, mtimeNs: second }), false);
  });
});
