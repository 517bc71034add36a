import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import elfTools from 'elf-tools';
import { isElf, readHeaders } from '../../src/elf/headers.js';

const DIRECTORIES = ['/usr/bin', '/usr/sbin', '/usr/lib/x86_64-linux-gnu', '/lib32', '/lib'];
const TYPES = new Set<string | undefined>(['load', 'dynamic', 'interp', 'note']);
/** elf-tools decodes all of a file, symbols too, which takes long for large ones. */
const MAX_SIZE = 100_000;

function elfFiles(): string[] {
  return DIRECTORIES.flatMap((directory) => {
    let names: string[] = [];
    try {
      names = readdirSync(directory);
    } catch {
      return [];
    }
    return names
      .map((name) => path.join(directory, name))
      .filter((file) => {
        const found = statSync(file, { throwIfNoEntry: false });
        return found?.isFile() && found.size < MAX_SIZE && isElf(readFileSync(file));
      })
      .slice(0, 100);
  });
}

test('elf-tools reads the same headers', () => {
  const files = elfFiles();
  assert.ok(files.length >= 50, `${files.length} files`);
  for (const file of files) {
    const bytes = readFileSync(file);
    const source = {
      path: file,
      size: bytes.length,
      read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
    };
    const ours = readHeaders(source, bytes.subarray(0, 64));
    const { header, programs } = elfTools.parse(bytes);
    assert.deepEqual(
      ours.segments,
      programs
        .map(({ header: { type, offset, vaddr, filesz } }) => ({ type, offset, vaddr, filesz }))
        .filter(({ type }) => TYPES.has(type)),
      file,
    );
    assert.equal(ours.flags, header.flags, file);
    assert.equal(ours.type, header.type, file);
  }
});
