import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseElf } from '../../src/elf/parse.js';
import { NO_VERSIONS } from '../../src/elf/versions.js';
import { type ElfParts, KINDS, MemorySource, makeElf } from '../support/make-elf.js';

const DT = {
  NULL: 0,
  NEEDED: 1,
  STRTAB: 5,
  SONAME: 14,
  RPATH: 15,
  RUNPATH: 29,
  DEPAUDIT: 0x6ffffefb,
  AUDIT: 0x6ffffefc,
  FLAGS_1: 0x6ffffffb,
  AUXILIARY: 0x7ffffffd,
  FILTER: 0x7fffffff,
} as const;

function dynamicOf(parts: ElfParts) {
  return parseElf(new MemorySource(makeElf(parts).bytes)).dynamic;
}

describe('parsing the dynamic section', () => {
  for (const kind of KINDS) {
    test(`reads all fields of a ${kind.class}-bit ${kind.byteOrder}-endian file`, () => {
      const dynamic = dynamicOf({
        ...kind,
        dynamic: [
          [DT.NEEDED, 'libb.so'],
          [DT.FILTER, 'libfilter.so'],
          [DT.NEEDED, 'liba.so'],
          [DT.AUXILIARY, 'libaux.so'],
          [DT.SONAME, 'libself.so.1'],
          [DT.RPATH, '/old:$ORIGIN'],
          [DT.RUNPATH, '/new'],
          [DT.AUDIT, 'one.so:two.so'],
          [DT.DEPAUDIT, 'three.so::'],
          [DT.FLAGS_1, 0x0800_0801],
        ],
      });
      assert.deepEqual(dynamic, {
        soname: 'libself.so.1',
        needed: ['libb.so', 'liba.so'],
        dependencies: [
          { kind: 'needed', name: 'libb.so' },
          { kind: 'filter', name: 'libfilter.so' },
          { kind: 'needed', name: 'liba.so' },
          { kind: 'auxiliary', name: 'libaux.so' },
        ],
        rpath: '/old:$ORIGIN',
        runpath: '/new',
        filters: ['libfilter.so'],
        auxiliaries: ['libaux.so'],
        audits: ['one.so', 'two.so', 'three.so'],
        noDefaultDirectories: true,
        isProgram: true,
        versions: NO_VERSIONS,
      });
    });
  }

  test('returns nothing for a static file, and no dependencies for an empty section', () => {
    assert.equal(dynamicOf({}), undefined);
    assert.deepEqual(dynamicOf({ dynamic: [] })?.needed, []);
  });

  test('stops at DT_NULL, and keeps the last of repeated tags', () => {
    const dynamic = dynamicOf({
      dynamic: [
        [DT.SONAME, 'first'],
        [DT.SONAME, 'last'],
        [DT.RUNPATH, ''],
      ],
    });
    assert.equal(dynamic?.soname, 'last');
    assert.equal(dynamic?.runpath, '', 'an empty path also hides DT_RPATH');
    const made = makeElf({
      dynamic: [
        [DT.NEEDED, 'a'],
        [DT.NULL, 0],
        [DT.NEEDED, 'b'],
      ],
    });
    // Nothing after DT_NULL is read, not even the string table.
    assert.throws(() => parseElf(new MemorySource(made.bytes)), {
      message: /DT_STRTAB is missing/,
    });
  });

  test('ignores unknown tags above 32 bits', () => {
    const made = makeElf({
      dynamic: [
        [DT.NEEDED, 'a'],
        [DT.NEEDED, 'b'],
      ],
    });
    made.bytes.writeUInt32LE(7, made.dynamicAt + 4);
    assert.deepEqual(parseElf(new MemorySource(made.bytes)).dynamic?.needed, ['b']);
  });

  test('reads strings anywhere in a table of any size', () => {
    for (const padding of [0, 1 << 16, 1 << 22]) {
      const made = makeElf({
        padding,
        dynamic: [
          [DT.NEEDED, 'liba.so'],
          [DT.SONAME, 'x'.repeat(300)],
        ],
      });
      const source = new MemorySource(made.bytes);
      const { dynamic } = parseElf(source);
      assert.deepEqual(dynamic?.needed, ['liba.so']);
      assert.equal(dynamic?.soname?.length, 300);
      assert.ok(source.taken < 80 << 10, `${source.taken} bytes read`);
    }
  });

  test('decodes names as UTF-8', () => {
    assert.deepEqual(dynamicOf({ dynamic: [[DT.NEEDED, 'libü.so']] })?.needed, ['libü.so']);
  });
});

describe('a malformed dynamic section is refused by the name of its field', () => {
  const NAMES = [[DT.NEEDED, 'liba.so']] as const;
  /** Sets the value of a tag. */
  const set = (tag: number, value: number) => (made: ReturnType<typeof makeElf>) => {
    for (let at = made.dynamicAt; ; at += 16) {
      if (made.bytes.readUInt32LE(at) !== tag) continue;
      made.bytes.writeBigUInt64LE(BigInt(value), at + 8);
      return made.bytes;
    }
  };
  const header = (made: ReturnType<typeof makeElf>, index: number) =>
    made.programHeadersAt + index * made.programHeaderSize;
  const cases: readonly (readonly [
    title: string,
    message: RegExp,
    change: (made: ReturnType<typeof makeElf>) => Buffer,
  ])[] = [
    ['no string table', /DT_STRTAB is missing$/, (made) => retag(made, 5, 0x70000001)],
    ['no size', /DT_STRSZ is missing$/, (made) => retag(made, 10, 0x70000001)],
    [
      'a string table outside of every segment',
      /DT_STRTAB is not inside any PT_LOAD$/,
      set(5, 0x10),
    ],
    [
      'a string table beyond the end of the file',
      /DT_STRSZ reaches beyond the end/,
      set(10, 1 << 24),
    ],
    ['a string beyond the table', /dynamic section names a string at 4096/, set(1, 4096)],
    [
      'an unterminated string',
      /DT_STRTAB has a string without end at \d+$/,
      (made) => {
        made.bytes.fill(0x41, made.stringsAt, made.stringsAt + 9);
        return made.bytes;
      },
    ],
    [
      'a section outside of every segment',
      /PT_DYNAMIC is not inside any PT_LOAD$/,
      (made) => {
        made.bytes.writeBigUInt64LE(0x10n, header(made, made.index.dynamic) + 16);
        return made.bytes;
      },
    ],
    [
      'an impossible section size',
      /PT_DYNAMIC has a size of \d+ bytes$/,
      (made) => {
        made.bytes.writeBigUInt64LE(1n << 40n, header(made, made.index.dynamic) + 32);
        return made.bytes;
      },
    ],
    [
      'a section beyond the end of the file',
      /PT_DYNAMIC reaches beyond the end of the file$/,
      (made) => {
        made.bytes.writeBigUInt64LE(1n << 16n, header(made, made.index.dynamic) + 32);
        return made.bytes;
      },
    ],
  ];
  for (const [title, message, change] of cases) {
    test(title, () => {
      const bytes = change(makeElf({ dynamic: NAMES }));
      assert.throws(() => parseElf(new MemorySource(bytes)), {
        code: 'MALFORMED_ELF',
        path: '/made',
        message,
      });
    });
  }

  test('too many names', () => {
    const made = makeElf({ dynamic: Array.from({ length: 9000 }, () => [DT.NEEDED, 1] as const) });
    assert.throws(() => parseElf(new MemorySource(made.bytes)), {
      message: /dynamic section names 9000 libraries and paths$/,
    });
  });

  test('names that are too long in total', () => {
    const dynamic = Array.from(
      { length: 40 },
      (_, n) => [DT.NEEDED, `${n}`.padEnd(60_000, 'x')] as const,
    );
    const made = makeElf({ dynamic });
    assert.throws(() => parseElf(new MemorySource(made.bytes)), {
      message: /DT_STRTAB has overlong names and paths$/,
    });
  });
});

function retag(made: ReturnType<typeof makeElf>, from: number, to: number): Buffer {
  for (let at = made.dynamicAt; ; at += 16) {
    if (made.bytes.readUInt32LE(at) !== from) continue;
    made.bytes.writeUInt32LE(to, at);
    return made.bytes;
  }
}
