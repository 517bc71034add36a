import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { writeLdSoCache } from '../../src/loader/ld-so-cache-writer.js';
import { type FuzzResult, fuzzCache, fuzzElf, fuzzResolve } from '../campaign/fuzz.js';
import { tempDir } from '../support/temp-dir.js';

// `npm run campaign:fuzz` runs over 100,000 cases.

function check({ failures, refused, accepted, cases }: FuzzResult): void {
  assert.deepEqual(failures, []);
  // If all mutations were refused, or none, the test would prove nothing.
  assert.ok(accepted > cases / 20, `${accepted} of ${cases} accepted`);
  assert.ok(refused.size > 2, [...refused.keys()].join());
}

test('mutated ELF files are read, or refused by the name of a field', () => {
  check(fuzzElf(4000, 20));
});

test('mutated library caches are read, or refused by the name of a field', () => {
  const levels = writeLdSoCache(
    ['x86-64-v2', 'x86-64-v3', undefined].flatMap((hwcaps) =>
      [1, 2, 3].map((n) => ({
        soname: `lib${n}.so.1`,
        path: `/lib/${hwcaps ?? ''}/lib${n}.so.1`,
        hwcaps,
        flags: 0x303,
      })),
    ),
    'little',
  );
  check(fuzzCache(1000, 20, [readFileSync('/etc/ld.so.cache'), levels]));
});

test('mutated programs and libraries are resolved, or refused by the name of a field', () => {
  const result = fuzzResolve(400, 20, tempDir());
  check(result);
});
