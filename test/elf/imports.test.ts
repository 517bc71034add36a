import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { importedSymbols } from '../../src/elf/imports.js';
import { parseElf } from '../../src/elf/parse.js';
import type { ByteOrder, ElfClass } from '../../src/elf/types.js';
import { KINDS, MemorySource, makeElf, Writer } from '../support/make-elf.js';

const DT = { NEEDED: 1, HASH: 4, SYMTAB: 6, GNU_HASH: 0x6ffffef5 } as const;
const EM = { X86_64: 62, S390: 22 } as const;

/** Names given by entries with a meaningless tag, which puts them into the string table. */
const NAMED = 0x70000001;

interface Symbol {
  readonly name: string;
  readonly isDefined: boolean;
}

const SYMBOLS: readonly Symbol[] = [
  { name: 'getpwnam', isDefined: false },
  { name: 'dlopen', isDefined: false },
  { name: 'own', isDefined: true },
  { name: 'other', isDefined: true },
];

interface Kind {
  readonly class: ElfClass;
  readonly byteOrder: ByteOrder;
  readonly machine?: number;
}

function withSymbols(kind: Kind, hash: 'gnu' | 'sysv', symbols = SYMBOLS) {
  const { class: elfClass, byteOrder, machine = EM.X86_64 } = kind;
  const wide = elfClass === 64;
  const table = new Writer(elfClass, byteOrder).raw(Buffer.alloc(wide ? 24 : 16));
  let nameAt = 1;
  for (const { name, isDefined } of symbols) {
    const section = isDefined ? 7 : 0;
    table.word(nameAt);
    if (wide) table.half(0x12).half(section).long(0).long(0);
    else table.word(0).word(0).half(0x12).half(section);
    nameAt += name.length + 1;
  }
  const defined = symbols.filter(({ isDefined }) => isDefined);
  const first = symbols.length + 1 - defined.length;
  const hashes = new Writer(elfClass, byteOrder);
  if (hash === 'sysv') {
    const count = symbols.length + 1;
    // The hash table of s390x has 8-byte words.
    const words = [1, count, 0, ...Array(count).fill(0)];
    for (const word of words) {
      if (wide && machine === EM.S390) hashes.long(word);
      else hashes.word(word);
    }
  } else {
    // One bucket holds all symbols; the last chain word is odd.
    hashes.word(1).word(first).word(1).word(0).long(0);
    hashes.word(defined.length === 0 ? 0 : first);
    for (const [index] of defined.entries()) hashes.word(index === defined.length - 1 ? 1 : 2);
  }
  return makeElf({
    ...kind,
    machine,
    dynamic: symbols.map(({ name }) => [NAMED, name] as const),
    tables: [
      { tag: DT.SYMTAB, bytes: table.bytes() },
      { tag: hash === 'gnu' ? DT.GNU_HASH : DT.HASH, bytes: hashes.bytes() },
    ],
  });
}

function imports(bytes: Buffer): string[] {
  const source = new MemorySource(bytes);
  return importedSymbols(source, parseElf(source).headers).filter((name) => name !== '');
}

describe('reading imported symbols', () => {
  for (const kind of KINDS) {
    for (const hash of ['gnu', 'sysv'] as const) {
      test(`finds them in a ${kind.class}-bit ${kind.byteOrder}-endian file with the ${hash} hash table`, () => {
        assert.deepEqual(imports(withSymbols(kind, hash).bytes), ['getpwnam', 'dlopen']);
      });
    }
  }

  test('reads the wide hash table of s390x', () => {
    const kind = { class: 64, byteOrder: 'big', machine: EM.S390 } as const;
    assert.deepEqual(imports(withSymbols(kind, 'sysv').bytes), ['getpwnam', 'dlopen']);
  });

  test('handles a program that defines no symbols, whose hash table is empty', () => {
    const kind = { class: 64, byteOrder: 'little' } as const;
    const symbols = SYMBOLS.filter(({ isDefined }) => !isDefined);
    assert.deepEqual(imports(withSymbols(kind, 'gnu', symbols).bytes), ['getpwnam', 'dlopen']);
  });

  test('returns none without a symbol table or a dynamic section', () => {
    assert.deepEqual(imports(makeElf({ dynamic: [] }).bytes), []);
    assert.deepEqual(imports(makeElf().bytes), []);
  });

  test('names the malformed field', () => {
    const kind = { class: 64, byteOrder: 'little' } as const;
    const change = (hash: 'gnu' | 'sysv', tag: number, address: bigint) => {
      const made = withSymbols(kind, hash);
      for (let at = made.dynamicAt; ; at += 16) {
        if (made.bytes.readUInt32LE(at) !== tag) continue;
        made.bytes.writeBigUInt64LE(address, at + 8);
        return made.bytes;
      }
    };
    for (const [hash, tag, field] of [
      ['gnu', DT.SYMTAB, 'DT_SYMTAB'],
      ['gnu', DT.GNU_HASH, 'DT_GNU_HASH'],
      ['sysv', DT.HASH, 'DT_HASH'],
    ] as const) {
      assert.throws(() => imports(change(hash, tag, 0x10n)), {
        code: 'MALFORMED_ELF',
        message: new RegExp(`${field} is not inside any PT_LOAD$`),
      });
    }
  });
});
