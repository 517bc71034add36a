import { dynamicBytes, dynamicEntries, fileOffset } from './dynamic.js';
import { fieldReader } from './fields.js';
import { EM } from './machines.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** Dynamic tags of the symbol table (gABI; DT_GNU_HASH is GNU's). */
const DT = { HASH: 4, STRTAB: 5, SYMTAB: 6, STRSZ: 10, GNU_HASH: 0x6ffffef5 } as const;

/** Names within this many bytes are read at once, others one by one. */
const WHOLE_TABLE = 8 << 20;
/** Longer names are cut: only long C++ names are affected, which nothing looks for. */
const MAX_NAME = 256;
/** Symbols are read this many at a time. */
const BATCH = 4096;
/** The number of words of hash chains, which have a few each, to read at a time. */
const CHAIN_BATCH = 256;

/** Machines whose DT_HASH has words of 8 bytes in 64-bit files: s390x and Alpha (glibc, Elf_Symndx). */
const WIDE_HASH_MACHINES = new Set<number>([EM.S390, EM.ALPHA]);

/** Names to look for in symbol tables, most of which contain none of them. */
export class WantedNames {
  readonly #names: ReadonlySet<string>;
  /** Marks the hashes of the names' first three bytes, to avoid decoding names in vain. */
  readonly #starts = new Uint8Array(1 << 12);

  /** @param names ASCII names of at least three characters */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
    for (const name of this.#names) this.#starts[startOf(Buffer.from(name, 'latin1'), 0)] = 1;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** All names. */
  get all(): readonly string[] {
    return [...this.#names];
  }

  /** Returns false if none of the names is at that offset. */
  mayBeAt(bytes: Buffer, at: number): boolean {
    return this.#starts[startOf(bytes, at)] === 1;
  }
}

function startOf(bytes: Buffer, at: number): number {
  const [one = 0, two = 0, three = 0] = [bytes[at], bytes[at + 1], bytes[at + 2]];
  return (one ^ (two << 3) ^ (three << 6)) & 0xfff;
}

/**
 * Returns the names of the functions and objects that a file imports: the undefined entries of its
 * dynamic symbol table, in order. The size of that table follows from the hash tables (gABI chapter
 * 5, "Hash Table"; for DT_GNU_HASH, from the end of the last chain).
 *
 * @param wanted leaves out all other names
 * @throws JailbuildError MALFORMED_ELF
 */
export function importedSymbols(
  source: ByteSource,
  headers: ElfHeaders,
  wanted?: WantedNames,
): string[] {
  const tags = symbolTags(source, headers);
  if (tags === undefined) return [];
  const offsets = undefinedNames(source, headers, tags);
  const table = stringsAt(source, headers, tags, offsets);
  const found: string[] = [];
  for (const offset of offsets) {
    const { bytes, start } = table(offset);
    const at = offset - start;
    if (wanted !== undefined && !wanted.mayBeAt(bytes, at)) continue;
    const end = bytes.subarray(0, at + MAX_NAME).indexOf(0, at);
    const name = bytes.toString('latin1', at, end < 0 ? at + MAX_NAME : end);
    if (wanted?.has(name) !== false) found.push(name);
  }
  return found;
}

/** Returns the offsets of the names of the undefined symbols. */
function undefinedNames(source: ByteSource, headers: ElfHeaders, tags: SymbolTags): number[] {
  const wide = headers.class === 64;
  const { u32 } = fieldReader(headers);
  const size = wide ? 24 : 16;
  const sectionAt = wide ? 6 : 14;
  const count = undefinedBelow(source, headers, tags);
  const base = offsetOf(source, headers, 'DT_SYMTAB', tags.symtab);
  if (base + count * size > source.size) {
    throw malformed(source, 'DT_SYMTAB', `has ${count} symbols, more than the file holds`);
  }
  const offsets: number[] = [];
  // The first entry is reserved.
  for (let first = 1; first < count; first += BATCH) {
    const many = Math.min(BATCH, count - first);
    const bytes = source.read(base + first * size, many * size);
    for (let at = 0; at + size <= bytes.length; at += size) {
      const isUndefined = bytes[at + sectionAt] === 0 && bytes[at + sectionAt + 1] === 0;
      if (isUndefined) offsets.push(u32(bytes, at));
    }
  }
  return offsets;
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
 * Returns a number of leading table entries that include all undefined ones. DT_GNU_HASH requires
 * symbols that are not looked up in this file to come first. These include the undefined ones,
 * except functions whose address an executable exports: for executables, all entries are counted.
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
  for (; ; last += CHAIN_BATCH) {
    const part = source.read(chains + (last - firstHashed) * 4, CHAIN_BATCH * 4);
    for (let index = 0; index * 4 + 4 <= part.length; index++) {
      if ((u32(part, index * 4) & 1) !== 0) return last + index + 1;
    }
    if (part.length < CHAIN_BATCH * 4)
      throw malformed(source, 'DT_GNU_HASH', 'has an unterminated chain');
  }
}

function isExecutable({ type, segments }: ElfHeaders): boolean {
  return type === 'exec' || segments.some((segment) => segment.type === 'interp');
}

/** Bytes of a string table, starting at an offset in it. */
interface Strings {
  readonly bytes: Buffer;
  readonly start: number;
}

/**
 * Returns a function that returns the bytes of the string table around an offset; none beyond its
 * end.
 */
function stringsAt(
  source: ByteSource,
  headers: ElfHeaders,
  { strtab, strsz }: SymbolTags,
  offsets: readonly number[],
): (offset: number) => Strings {
  const base = offsetOf(source, headers, 'DT_STRTAB', strtab);
  let first = strsz;
  let last = 0;
  for (const offset of offsets) {
    if (offset >= strsz) continue;
    first = Math.min(first, offset);
    last = Math.max(last, offset);
  }
  const room = (start: number, end: number) => Math.max(0, Math.min(end + MAX_NAME, strsz) - start);
  if (last - first <= WHOLE_TABLE) {
    const all = { bytes: source.read(base + first, room(first, last)), start: first };
    return () => all;
  }
  return (offset) => ({ bytes: source.read(base + offset, room(offset, offset)), start: offset });
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
