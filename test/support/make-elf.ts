import type { ByteOrder, ByteSource, ElfClass } from '../../src/elf/types.js';

/** An entry of the dynamic section: a string is added to the string table. */
export type DynamicEntry = readonly [tag: number, value: number | string];

export interface NoteParts {
  readonly owner: string;
  readonly type: number;
  readonly description: Buffer | string;
}

export interface ElfParts {
  readonly class?: ElfClass;
  readonly byteOrder?: ByteOrder;
  readonly type?: number;
  readonly machine?: number;
  readonly flags?: number;
  readonly interpreter?: string;
  /** DT_STRTAB, DT_STRSZ and DT_NULL are added. */
  readonly dynamic?: readonly DynamicEntry[];
  readonly notes?: readonly NoteParts[];
  /** Bytes of the string table before the strings. */
  readonly padding?: number;
  /** Additional contents, each with the dynamic tag that gets its address. */
  readonly tables?: readonly { readonly tag: number; readonly bytes: Buffer }[];
}

/** Locations in a file made by {@link makeElf}. */
export interface MadeElf {
  readonly bytes: Buffer;
  /** File offsets. */
  readonly dynamicAt: number;
  readonly stringsAt: number;
  readonly interpreterAt: number;
  readonly notesAt: number;
  readonly programHeadersAt: number;
  readonly programHeaderSize: number;
  /** Indexes of program headers. */
  readonly index: { readonly load: number; readonly dynamic: number; readonly interp: number };
}

/** Added to offsets to form addresses, to detect readers that confuse the two. */
export const BASE = 0x40_0000;

const PT = { LOAD: 1, DYNAMIC: 2, INTERP: 3, NOTE: 4 } as const;
const DT = { NULL: 0, STRTAB: 5, STRSZ: 10 } as const;

/** Writes consecutive numbers of a class and byte order. */
export class Writer {
  readonly parts: Buffer[] = [];
  readonly #wide: boolean;
  readonly #little: boolean;

  constructor(elfClass: ElfClass, byteOrder: ByteOrder) {
    this.#wide = elfClass === 64;
    this.#little = byteOrder === 'little';
  }

  half(value: number): this {
    const bytes = Buffer.alloc(2);
    if (this.#little) bytes.writeUInt16LE(value);
    else bytes.writeUInt16BE(value);
    return this.raw(bytes);
  }

  word(value: number): this {
    const bytes = Buffer.alloc(4);
    if (this.#little) bytes.writeUInt32LE(value >>> 0);
    else bytes.writeUInt32BE(value >>> 0);
    return this.raw(bytes);
  }

  /** Writes an address, offset or size: four or eight bytes. */
  long(value: number | bigint): this {
    if (!this.#wide) return this.word(Number(value));
    const bytes = Buffer.alloc(8);
    if (this.#little) bytes.writeBigUInt64LE(BigInt(value));
    else bytes.writeBigUInt64BE(BigInt(value));
    return this.raw(bytes);
  }

  raw(bytes: Buffer): this {
    this.parts.push(bytes);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Makes a small ELF file: headers, one PT_LOAD for everything, and the given parts. */
export function makeElf(parts: ElfParts = {}): MadeElf {
  const { class: elfClass = 64, byteOrder = 'little', type = 3, machine = 62, flags = 0 } = parts;
  const wide = elfClass === 64;
  const headerSize = wide ? 64 : 52;
  const programHeaderSize = wide ? 56 : 32;
  const writer = () => new Writer(elfClass, byteOrder);
  const hasDynamic = parts.dynamic !== undefined;
  const hasInterpreter = parts.interpreter !== undefined;
  const hasNotes = parts.notes !== undefined;
  const count = 1 + Number(hasDynamic) + Number(hasInterpreter) + Number(hasNotes);
  const programHeadersAt = headerSize;

  let end = headerSize + count * programHeaderSize;
  const contents: Buffer[] = [];
  const put = (bytes: Buffer): number => {
    const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
    bytes.copy(padded);
    const at = end;
    contents.push(padded);
    end += padded.length;
    return at;
  };
  end = Math.ceil(end / 8) * 8;
  contents.push(Buffer.alloc(end - headerSize - count * programHeaderSize));

  const interpreter = Buffer.from(`${parts.interpreter ?? ''}\0`);
  const interpreterAt = hasInterpreter ? put(interpreter) : 0;
  const notes = writer();
  for (const { owner, type: noteType, description } of parts.notes ?? []) {
    const text = Buffer.from(description);
    notes
      .word(owner.length + 1)
      .word(text.length)
      .word(noteType);
    notes.raw(aligned(Buffer.from(`${owner}\0`))).raw(aligned(text));
  }
  const notesAt = hasNotes ? put(notes.bytes()) : 0;

  const strings = [Buffer.alloc(1 + (parts.padding ?? 0))];
  let stringsSize = strings[0]?.length ?? 0;
  const values = (parts.dynamic ?? []).map(([tag, value]): readonly [number, number] => {
    if (typeof value === 'number') return [tag, value];
    const at = stringsSize;
    const bytes = Buffer.from(`${value}\0`);
    strings.push(bytes);
    stringsSize += bytes.length;
    return [tag, at];
  });
  const stringsAt = put(Buffer.concat(strings));
  const tables = (parts.tables ?? []).map(({ tag, bytes }) => [tag, BASE + put(bytes)] as const);
  const dynamic = writer();
  for (const [tag, value] of [
    ...values,
    ...tables,
    [DT.STRTAB, BASE + stringsAt],
    [DT.STRSZ, stringsSize],
    [DT.NULL, 0],
  ] as const) {
    dynamic.long(tag).long(value);
  }
  const dynamicAt = put(dynamic.bytes());

  const head = writer();
  head.raw(Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, byteOrder === 'little' ? 1 : 2, 1]));
  head.raw(Buffer.alloc(9)).half(type).half(machine).word(1);
  head.long(0).long(programHeadersAt).long(0).word(flags);
  head.half(headerSize).half(programHeaderSize).half(count).half(0).half(0).half(0);
  const segment = (kind: number, at: number, size: number) => {
    head.word(kind);
    if (wide) head.word(4);
    head
      .long(at)
      .long(BASE + at)
      .long(BASE + at);
    head.long(size).long(size);
    if (!wide) head.word(4);
    head.long(8);
  };
  segment(PT.LOAD, 0, end);
  if (hasDynamic) segment(PT.DYNAMIC, dynamicAt, dynamic.bytes().length);
  if (hasInterpreter) segment(PT.INTERP, interpreterAt, interpreter.length);
  if (hasNotes) segment(PT.NOTE, notesAt, notes.bytes().length);
  return {
    bytes: Buffer.concat([head.bytes(), ...contents]),
    ...{ dynamicAt, stringsAt, interpreterAt, notesAt, programHeadersAt, programHeaderSize },
    index: { load: 0, dynamic: 1, interp: 1 + Number(hasDynamic) },
  };
}

function aligned(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

/** Bytes in memory as a file, with a count of the bytes read. */
export class MemorySource implements ByteSource {
  readonly path: string;
  readonly size: number;
  /** Number of bytes read so far. */
  taken = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, path = '/made') {
    this.#bytes = bytes;
    this.size = bytes.length;
    this.path = path;
  }

  read(offset: number, length: number): Buffer {
    if (offset < 0 || length < 0) throw new RangeError(`read(${offset}, ${length})`);
    const bytes = Buffer.from(this.#bytes.subarray(offset, offset + length));
    this.taken += bytes.length;
    return bytes;
  }
}

/** Every class with every byte order. */
export const KINDS = ([32, 64] as const).flatMap((elfClass) =>
  (['little', 'big'] as const).map((byteOrder) => ({ class: elfClass, byteOrder })),
);
