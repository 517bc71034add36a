import { fieldReader } from './fields.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** A section header (gABI chapter 4, "Section Header"). Sizes in bytes. */
export interface Section {
  readonly name: string;
  /** sh_type, such as SHT_NOTE = 7. */
  readonly type: number;
  readonly flags: number;
  readonly address: number | bigint;
  readonly offset: number;
  readonly size: number;
}

/**
 * The maximum number of sections in a file; compilers that use one per function create thousands.
 */
const MAX_SECTIONS = 1 << 18;
const MAX_NAMES = 16 << 20;
const SHN_XINDEX = 0xffff;
const SHT_NOBITS = 8;

/** The bytes of the section headers. */
interface Table {
  readonly count: number;
  readonly namesIndex: number;
  readonly type: (index: number) => number;
  readonly section: (index: number, text: Buffer) => Section;
}

/**
 * Reads the section headers. Loading does not need them: a stripped file may have none.
 *
 * @returns an empty list for a file without them
 * @throws JailbuildError MALFORMED_ELF
 */
export function readSections(source: ByteSource, headers: ElfHeaders): Section[] {
  const table = readTable(source, headers);
  if (table === undefined) return [];
  const { count, namesIndex } = table;
  const text = namesIndex > 0 && namesIndex < count ? nameTable(source, table) : Buffer.alloc(0);
  return Array.from({ length: count }, (_, index) => table.section(index, text));
}

/**
 * Reads the section headers of one type, without their names.
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function sectionsOfType(source: ByteSource, headers: ElfHeaders, type: number): Section[] {
  const table = readTable(source, headers);
  const found: Section[] = [];
  for (let index = 0; table !== undefined && index < table.count; index++) {
    if (table.type(index) === type) found.push(table.section(index, Buffer.alloc(0)));
  }
  return found;
}

function nameTable(source: ByteSource, { section, namesIndex }: Table): Buffer {
  const { offset, size } = section(namesIndex, Buffer.alloc(0));
  return source.read(offset, Math.min(size, MAX_NAMES));
}

function readTable(source: ByteSource, headers: ElfHeaders): Table | undefined {
  const wide = headers.class === 64;
  const { u16, u32, word, exact } = fieldReader(headers);

  const header = source.read(0, wide ? 64 : 52);
  const table = word(header, wide ? 40 : 32);
  const tail = wide ? 58 : 46;
  const size = u16(header, tail);
  if (table === 0) return undefined;
  if (size !== (wide ? 64 : 40)) throw malformed(source, 'e_shentsize', `is ${size}`);
  const at = { type: 4, flags: 8, address: wide ? 16 : 12, offset: wide ? 24 : 16 };
  const sizeAt = wide ? 32 : 20;
  const linkAt = wide ? 40 : 24;

  const read = (first: number, count: number) => {
    if (table + (first + count) * size > source.size) {
      throw malformed(source, 'e_shoff', 'puts the section headers beyond the end of the file');
    }
    return source.read(table + first * size, count * size);
  };
  const saidCount = u16(header, tail + 2);
  const saidNames = u16(header, tail + 4);
  // Counts that overflow the ELF header are in the first section header.
  const zero = saidCount === 0 || saidNames === SHN_XINDEX ? read(0, 1) : undefined;
  const count = zero !== undefined && saidCount === 0 ? word(zero, sizeAt) : saidCount;
  if (count > MAX_SECTIONS) throw malformed(source, 'e_shnum', `is ${count}`);
  const bytes = read(0, count);
  return {
    count,
    namesIndex: zero !== undefined && saidNames === SHN_XINDEX ? u32(zero, linkAt) : saidNames,
    type: (index) => u32(bytes, index * size + at.type),
    section(index, text) {
      const start = index * size;
      const nameAt = u32(bytes, start);
      const end = nameAt < text.length ? text.indexOf(0, nameAt) : -1;
      return {
        name: end < 0 ? '' : text.toString('utf8', nameAt, end),
        type: u32(bytes, start + at.type),
        flags: word(bytes, start + at.flags),
        address: exact(bytes, start + at.address),
        offset: word(bytes, start + at.offset),
        size: word(bytes, start + sizeAt),
      };
    },
  };
}

/** Returns whether the section's contents lie inside the file. */
export function isInFile({ type, offset, size }: Section, source: ByteSource): boolean {
  return type !== SHT_NOBITS && offset + size <= source.size;
}
