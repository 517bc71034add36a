import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { importedSymbols } from '../../src/elf/imports.js';
import { inspectElf } from '../../src/elf/inspect.js';
import { buildId, dlopenNeeds, readNotes } from '../../src/elf/notes.js';
import { parseElf } from '../../src/elf/parse.js';
import { readSections } from '../../src/elf/sections.js';
import type { ByteSource } from '../../src/elf/types.js';
import { JailbuildError } from '../../src/errors.js';
import { exec } from '../support/cli.js';
import { needs } from '../support/need.js';

function source(bytes: Buffer, name = 'file'): ByteSource {
  return {
    path: name,
    size: bytes.length,
    read: (offset, length) =>
      offset < 0 || length < 0
        ? assert.fail(`read(${offset}, ${length})`)
        : Buffer.from(bytes.subarray(offset, offset + length)),
  };
}

/** Returns some files of each directory, evenly spread over their names. */
function some(directory: string, count: number, pattern: RegExp): string[] {
  let names: string[] = [];
  try {
    names = readdirSync(directory)
      .filter((name) => pattern.test(name))
      .sort();
  } catch {
    return [];
  }
  const step = Math.max(1, Math.floor(names.length / count));
  return names
    .filter((_, index) => index % step === 0)
    .map((name) => path.join(directory, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
    .filter((file) => readFileSync(file).subarray(0, 4).toString('latin1') === '\x7fELF');
}

describe('compared with readelf', needs('readelf'), () => {
  const files = [
    ...some('/usr/bin', 40, /./),
    ...some('/usr/lib/x86_64-linux-gnu', 40, /\.so/),
    ...some('/usr/aarch64-linux-gnu/lib', 10, /\.so\.\d/),
    ...some('/usr/s390x-linux-gnu/lib', 10, /\.so\.\d/),
    ...some('/usr/lib32', 10, /\.so\.\d/),
  ];

  test('imported symbols, sections and build IDs of many files are the same', () => {
    let symbols = 0;
    for (const file of files) {
      const bytes = source(readFileSync(file), file);
      const elf = parseElf(bytes);
      const readelf = exec('readelf', ['-W', '--dyn-syms', '-S', '-n', file]).stdout;
      const undefinedOnes = [
        ...readelf.matchAll(
          /^ +\d+: \S+ +\d+ \S+ +\S+ +\S+ .*\bUND (\S+?)(?:@\S+)?(?: \(\d+\))?$/gm,
        ),
      ];
      const ours = importedSymbols(bytes, elf.headers).filter((name) => name !== '');
      // readelf cuts long names.
      const isShort = (name: string) => name.length < 200 && /^[\x21-\x7e]+$/.test(name);
      assert.deepEqual(
        ours.filter(isShort).sort(),
        undefinedOnes
          .map(([, name = '']) => name)
          .filter(isShort)
          .sort(),
        file,
      );
      symbols += ours.length;
      const sections = [...readelf.matchAll(/^ +\[ *\d+\] (\S*) +[A-Z_0-9]+ +[0-9a-f]{8}/gm)];
      assert.equal(readSections(bytes, elf.headers).length, sections.length, file);
      assert.equal(
        buildId(readNotes(bytes, elf.headers)),
        readelf.match(/Build ID: ([0-9a-f]+)/)?.[1],
        file,
      );
    }
    assert.ok(files.length > 60 && symbols > 2000, `${files.length} files, ${symbols} symbols`);
  });
});

describe('mutated files', () => {
  const original = readFileSync('/bin/true');
  /** Reproducible numbers below `limit` (a linear congruential generator). */
  let state = 7;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const VALUES = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff];

  test('are read, or refused with an error that names the file', () => {
    const elf = parseElf(source(original));
    const places = [
      ...[0, 64],
      ...elf.headers.segments.map(({ offset }) => offset),
      ...readSections(source(original), elf.headers).map(({ offset }) => offset),
      original.readUIntLE(40, 6),
    ];
    let refused = 0;
    for (let round = 0; round < 1500; round++) {
      const length = random(8) === 0 ? random(original.length) : original.length;
      const bytes = Buffer.from(original.subarray(0, length));
      for (let count = 1 + random(4); count > 0; count--) {
        const at = Math.min((places[random(places.length)] ?? 0) + random(512), bytes.length - 4);
        if (at >= 0) bytes.writeUInt32LE(VALUES[random(VALUES.length)] ?? random(2 ** 32), at);
      }
      const hostile = source(bytes, 'hostile');
      for (const read of [
        () => inspectElf(hostile),
        () => importedSymbols(hostile, parseElf(hostile).headers),
        () => parseElf(hostile).dynamic?.versions,
        () => dlopenNeeds(readNotes(hostile, parseElf(hostile).headers), hostile),
      ]) {
        try {
          read();
        } catch (error) {
          if (!(error instanceof JailbuildError)) throw error;
          assert.match(error.message, /^hostile: /);
          refused++;
        }
      }
    }
    assert.ok(refused > 150, `${refused} were refused`);
  });

  test('with malformed notes are refused with the reason', () => {
    const note = (description: string) => [
      { owner: 'FDO', type: 0x407c0c0a, description: Buffer.from(description) },
    ];
    const cases: readonly (readonly [string, RegExp])[] = [
      ['{', /dlopen note is not JSON$/],
      ['{}', /is not a JSON array$/],
      ['[1]', /an item that is not an object$/],
      ['[{}]', /an item without soname$/],
      ['[{"soname":[""]}]', /an empty soname$/],
      ['[{"soname":["a"],"priority":"x"}]', /unknown priority "x"$/],
    ];
    for (const [text, expected] of cases) {
      assert.throws(() => dlopenNeeds(note(text), source(original)), { message: expected });
    }
    assert.deepEqual(dlopenNeeds(note('[{"soname":["a","b"]}]\0\0'), source(original)), [
      { sonames: ['a', 'b'], priority: 'recommended', feature: undefined, description: undefined },
    ]);
  });
});
