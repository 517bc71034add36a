import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseElf } from '../../src/elf/parse.js';
import { KINDS, MemorySource, makeElf } from '../support/make-elf.js';

describe('parsing an ELF file', () => {
  for (const kind of KINDS) {
    test(`reads the headers of a ${kind.class}-bit ${kind.byteOrder}-endian file`, () => {
      const made = makeElf({
        ...kind,
        type: 2,
        machine: 0xbeef,
        flags: 0x8000_0401,
        interpreter: '/lib/ld.so',
        dynamic: [],
        notes: [],
      });
      const { headers, identification, interpreter } = parseElf(new MemorySource(made.bytes));
      const { segments, ...rest } = headers;
      assert.deepEqual(rest, { ...kind, type: 'exec', machine: 0xbeef, flags: 0x8000_0401 });
      assert.equal(interpreter, '/lib/ld.so');
      assert.deepEqual(
        segments.map(({ type }) => type),
        ['load', 'dynamic', 'interp', 'note'],
      );
      const [load, dynamic] = segments;
      assert.equal(load?.offset, 0);
      assert.equal(load?.filesz, made.bytes.length);
      assert.equal(dynamic?.offset, made.dynamicAt);
      assert.equal(dynamic?.vaddr, 0x40_0000 + made.dynamicAt);
      assert.deepEqual(identification, {
        class: kind.class / 32,
        data: kind.byteOrder === 'little' ? 1 : 2,
        version: 1,
        osAbi: 0,
        abiVersion: 0,
        isPadded: true,
        machineLittle: kind.byteOrder === 'little' ? 0xbeef : 0xefbe,
        machineBig: kind.byteOrder === 'little' ? 0xefbe : 0xbeef,
        fileVersion: 1,
      });
    });
  }

  test('recognises each file type', () => {
    for (const [number, name] of [
      [1, 'rel'],
      [2, 'exec'],
      [3, 'dyn'],
      [4, 'core'],
    ] as const) {
      const { headers } = parseElf(new MemorySource(makeElf({ type: number }).bytes));
      assert.equal(headers.type, name);
    }
  });

  test('finds program headers anywhere in the file', () => {
    const { bytes, programHeadersAt, programHeaderSize } = makeElf({ interpreter: '/lib/ld.so' });
    const table = bytes.subarray(programHeadersAt, programHeadersAt + 2 * programHeaderSize);
    const moved = Buffer.concat([bytes, Buffer.alloc(1 << 20), table]);
    moved.fill(0, programHeadersAt, programHeadersAt + 2 * programHeaderSize);
    moved.writeBigUInt64LE(BigInt(moved.length - table.length), 32);
    const source = new MemorySource(moved);
    assert.equal(parseElf(source).interpreter, '/lib/ld.so');
    assert.ok(source.taken < 8192, `${source.taken} bytes read`);
  });
});

describe('a malformed file is refused by the name of its field', () => {
  const byte =
    (at: number, ...values: readonly number[]) =>
    (bytes: Buffer) => {
      Buffer.from(values).copy(bytes, at);
      return bytes;
    };
  const cases: readonly (readonly [
    title: string,
    code: string,
    message: RegExp,
    change: (bytes: Buffer, made: ReturnType<typeof makeElf>) => Buffer,
  ])[] = [
    ['another magic number', 'NOT_ELF', /not an ELF file$/, byte(0, 0x7e)],
    ['an empty file', 'NOT_ELF', /not an ELF file$/, (bytes) => bytes.subarray(0, 0)],
    [
      'only the magic number',
      'MALFORMED_ELF',
      /EI_CLASS is missing$/,
      (bytes) => bytes.subarray(0, 4),
    ],
    ['an unknown class', 'MALFORMED_ELF', /EI_CLASS is 3$/, byte(4, 3)],
    ['an unknown byte order', 'MALFORMED_ELF', /EI_DATA is 0$/, byte(5, 0)],
    ['half a header', 'MALFORMED_ELF', /header is cut short/, (bytes) => bytes.subarray(0, 63)],
    ['a wrong size of program headers', 'MALFORMED_ELF', /e_phentsize is 55/, byte(54, 55)],
    ['too many program headers', 'MALFORMED_ELF', /e_phnum is 65535$/, byte(56, 0xff, 0xff)],
    ['program headers beyond the end', 'MALFORMED_ELF', /e_phoff puts/, byte(32, 0, 0, 0, 1)],
    ['program headers far beyond the end', 'MALFORMED_ELF', /e_phoff puts/, byte(39, 0x7f)],
    [
      'an interpreter beyond the end',
      'MALFORMED_ELF',
      /PT_INTERP reaches beyond/,
      (bytes, { programHeadersAt, programHeaderSize }) => {
        bytes.writeUInt32LE(1 << 20, programHeadersAt + programHeaderSize + 8);
        return bytes;
      },
    ],
    [
      'an interpreter that is too long',
      'MALFORMED_ELF',
      /PT_INTERP has a size of 5000 bytes$/,
      (bytes, { programHeadersAt, programHeaderSize }) => {
        bytes.writeUInt32LE(5000, programHeadersAt + programHeaderSize + 32);
        return bytes;
      },
    ],
    [
      'an unterminated interpreter',
      'MALFORMED_ELF',
      /PT_INTERP does not end with a zero byte$/,
      (bytes, { programHeadersAt, programHeaderSize }) => {
        bytes.writeUInt32LE(5, programHeadersAt + programHeaderSize + 32);
        return bytes;
      },
    ],
    [
      'an empty interpreter',
      'MALFORMED_ELF',
      /PT_INTERP is an empty path$/,
      (bytes, { interpreterAt }) => byte(interpreterAt, 0)(bytes),
    ],
  ];
  for (const [title, code, message, change] of cases) {
    test(title, () => {
      const made = makeElf({ interpreter: '/lib/ld.so' });
      const source = new MemorySource(change(made.bytes, made));
      assert.throws(() => parseElf(source), { code, message, path: '/made' });
    });
  }
});
