import { dynamicBytes, dynamicEntries, fileOffset } from './dynamic.js';
import { fieldReader } from './fields.js';
import { EM } from './machines.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** Dynamic tags of the symbol table (gABI; DT_GNU_HASH is GNU's). */
const DT = { HASH: 4, STRTAB: 5, SYMTAB: 6, STRSZ: 10, GNU_HASH: 0x6ffffef5 } as const;

/** String tables up to this size are read at once, of larger ones a piece per name. */
const WHOLE_TABLE = 8 << 20;
/** Longer names are cut: only long C++ names are affected, which nothing looks for. */
const MAX_NAME = 256;
/** Symbols are read this many at a time. */
const BATCH = 4096;

/** Machines whose DT_HASH has words of 8 bytes in 64-bit files: s390x and Alpha (glibc, Elf_Symndx). */
const WIDE_HASH_MACHINES = new Set<number>([EM.S390, EM.ALPHA]);

/**
 * Returns the names of the functions and objects that a file imports: the undefined entries of its
 * dynamic symbol table. The size of that table follows from the hash tables (gABI chapter 5, "Hash
 * Table"; for DT_GNU_HASH, from the end of the last chain).
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function* importedSymbols(source: ByteSource, headers: ElfHeaders): Generator<string> {
  const tags = symbolTags(source, headers);
  if (tags === undefined) return;
  const wide = headers.class === 64;
  const { u16, u32 } = fieldReader(headers);
  const size = wide ? 24 : 16;
  const count = undefinedBelow(source, headers, tags);
  const base = offsetOf(source, headers, 'DT_SYMTAB', tags.symtab);
  if (base + count * size > source.size) {
    throw malformed(source, 'DT_SYMTAB', `has ${count} symbols, more than the file holds`);
  }
  const name = names(source, headers, tags);

  // The first symbol is no symbol.
  for (let first = 1; first < count; first += BATCH) {
    const many = Math.min(BATCH, count - first);
    const bytes = source.read(base + first * size, many * size);
    for (let at = 0; at + size <= bytes.length; at += size) {
      if (u16(bytes, at + (wide ? 6 : 14)) === 0) yield name(u32(bytes, at));
    }
  }
}

interface SymbolTags {
  readonly symtab: number;
  readonly strtab: number;
  readonly strsz: number;
  readonly hash: number | undefined;
  readonly gnuHash: number | undefined;
}

function symbolTags(source: ByteSource, headers: ElfHeaders): SymbolTags | undefined {
  const bytes = dynamicBytes(source, headers);
  if (bytes === undefined) return undefined;
  const values = new Map(dynamicEntries(bytes, headers));
  const symtab = values.get(DT.SYMTAB);
  const strtab = values.get(DT.STRTAB);
  const strsz = values.get(DT.STRSZ);
  const hash = values.get(DT.HASH);
  const gnuHash = values.get(DT.GNU_HASH);
  if (symtab === undefined || strtab === undefined || strsz === undefined) return undefined;
  if (hash === undefined && gnuHash === undefined) return undefined;
  return { symtab, strtab, strsz, hash, gnuHash };
}

/**
 * Returns how many entries from the start of the table contain all undefined ones. DT_GNU_HASH requires
 * symbols that are not looked up in this file to come first. These include the undefined ones, except
 * functions whose address an executable exports: for executables, all entries are counted.
 */
function undefinedBelow(source: ByteSource, headers: ElfHeaders, tags: SymbolTags): number {
  const { u32 } = fieldReader(headers);
  const wide = headers.class === 64;
  if (tags.gnuHash !== undefined && !isExecutable(headers)) {
    const at = offsetOf(source, headers, 'DT_GNU_HASH', tags.gnuHash);
    return u32(readAll(source, at, 16, 'DT_GNU_HASH'), 4);
  }
  if (tags.hash !== undefined) {
    const at = offsetOf(source, headers, 'DT_HASH', tags.hash);
    const words = wide && WIDE_HASH_MACHINES.has(headers.machine) ? 8 : 4;
    const head = readAll(source, at, 2 * words, 'DT_HASH');
    return u32(head, words === 8 && headers.byteOrder === 'big' ? 12 : words);
  }
  const at = offsetOf(source, headers, 'DT_GNU_HASH', tags.gnuHash ?? 0);
  const head = readAll(source, at, 16, 'DT_GNU_HASH');
  const [bucketCount, firstHashed, bloomWords] = [u32(head, 0), u32(head, 4), u32(head, 8)];
  const buckets = at + 16 + bloomWords * (wide ? 8 : 4);
  const chains = buckets + bucketCount * 4;
  const table = readAll(source, buckets, bucketCount * 4, 'DT_GNU_HASH');
  let last = 0;
  for (let index = 0; index < bucketCount; index++) last = Math.max(last, u32(table, index * 4));
  if (last < firstHashed) return firstHashed;
  for (; ; last += BATCH) {
    const part = source.read(chains + (last - firstHashed) * 4, BATCH * 4);
    for (let index = 0; index * 4 + 4 <= part.length; index++) {
      if ((u32(part, index * 4) & 1) !== 0) return last + index + 1;
    }
    if (part.length < BATCH * 4) throw malformed(source, 'DT_GNU_HASH', 'has a chain without end');
  }
}

function isExecutable({ type, segments }: ElfHeaders): boolean {
  return type === 'exec' || segments.some((segment) => segment.type === 'interp');
}

/** Returns a function that reads the name at an offset of the string table, '' beyond its end. */
function names(source: ByteSource, headers: ElfHeaders, { strtab, strsz }: SymbolTags) {
  const base = offsetOf(source, headers, 'DT_STRTAB', strtab);
  // Decoded once: each call into a Buffer takes longer than a search in a string.
  const whole = strsz <= WHOLE_TABLE ? source.read(base, strsz).toString('latin1') : undefined;
  return (offset: number): string => {
    if (offset >= strsz) return '';
    if (whole !== undefined) {
      const end = whole.indexOf('\0', offset);
      return whole.slice(offset, Math.min(end < 0 ? whole.length : end, offset + MAX_NAME));
    }
    const bytes = source.read(base + offset, Math.min(MAX_NAME, strsz - offset));
    const end = bytes.indexOf(0);
    return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  };
}

function offsetOf(source: ByteSource, headers: ElfHeaders, field: string, address: number): number {
  const offset = fileOffset(headers.segments, address);
  if (offset === undefined) throw malformed(source, field, 'is not inside any PT_LOAD');
  return offset;
}

function readAll(source: ByteSource, at: number, length: number, field: string): Buffer {
  if (at + length > source.size) {
    throw malformed(source, field, 'reaches beyond the end of the file');
  }
  return source.read(at, length);
}
