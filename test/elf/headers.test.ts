import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import elfTools from 'elf-tools';
import { readHeaders } from '../../src/elf/headers.js';
import { elfFiles } from '../support/loader-oracle.js';
import { MemorySource } from '../support/make-elf.js';

const DIRECTORIES = ['/usr/bin', '/usr/sbin', '/usr/lib/x86_64-linux-gnu', '/lib32', '/lib'];
const TYPES = new Set<string | undefined>(['load', 'dynamic', 'interp', 'note']);
/** elf-tools decodes the whole file, symbols included, which is slow for large files. */
const MAX_SIZE = 100_000;

function smallFiles(directory: string): string[] {
  return [...elfFiles([directory])].filter((file) => statSync(file).size < MAX_SIZE).slice(0, 100);
}

/** Parses a file with elf-tools, which refuses numbers above 2^53: undefined for those. */
function theirs(bytes: Buffer): ReturnType<typeof elfTools.parse> | undefined {
  try {
    return elfTools.parse(bytes);
  } catch (error) {
    if (error instanceof Error && /^Cannot represent 0x/.test(error.message)) return undefined;
    throw error;
  }
}

test('elf-tools reads the same headers', () => {
  const files = DIRECTORIES.flatMap(smallFiles);
  let compared = 0;
  for (const file of files) {
    const bytes = readFileSync(file);
    const ours = readHeaders(new MemorySource(bytes, file), bytes.subarray(0, 64));
    const parsed = theirs(bytes);
    if (parsed === undefined) continue;
    const { header, programs } = parsed;
    assert.deepEqual(
      ours.segments,
      programs
        .map(({ header: { type, offset, vaddr, filesz, memsz, flags } }) => ({
          ...{ type, offset, vaddr },
          ...{ filesz, memsz },
          isExecutable: flags.split('|').includes('execute'),
        }))
        .filter(({ type }) => TYPES.has(type)),
      file,
    );
    assert.equal(ours.flags, header.flags, file);
    assert.equal(ours.type, header.type, file);
    compared++;
  }
  assert.ok(compared >= 50, `${compared} files`);
});
