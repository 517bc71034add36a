import { JailbuildError } from '../errors.js';
import { fromBytes } from '../fs/path-bytes.js';
import { fieldReader } from './fields.js';
import { malformed } from './malformed.js';
import type {
  ByteSource,
  Dependency,
  DynamicSection,
  ElfHeaders,
  Segment,
  SymbolVersions,
} from './types.js';
import { NO_VERSIONS, readVersions } from './versions.js';

/** Dynamic tags (gABI; those from DEPAUDIT on are the GNU and Solaris extensions of elf.h). */
const DT = {
  NULL: 0,
  NEEDED: 1,
  STRTAB: 5,
  STRSZ: 10,
  SONAME: 14,
  RPATH: 15,
  RUNPATH: 29,
  RELR: 36,
  DEPAUDIT: 0x6ffffefb,
  AUDIT: 0x6ffffefc,
  VERSYM: 0x6ffffff0,
  FLAGS_1: 0x6ffffffb,
  VERDEF: 0x6ffffffc,
  VERNEED: 0x6ffffffe,
  AUXILIARY: 0x7ffffffd,
  FILTER: 0x7fffffff,
} as const;

const DEPENDENCY_KIND: Readonly<Record<number, Dependency['kind']>> = {
  [DT.NEEDED]: 'needed',
  [DT.AUXILIARY]: 'auxiliary',
  [DT.FILTER]: 'filter',
};

/** All known tags are below this number. */
const MAX_TAG = 0xffff_ffff;

const DF_1_NODEFLIB = 0x800;
const DF_1_PIE = 0x0800_0000;

/** Real dynamic sections have under 100 entries, 16 bytes each. */
const MAX_DYNAMIC_SIZE = 1 << 20;
/** String tables up to this size are read at once, larger ones in pieces. */
const WHOLE_TABLE = 1 << 16;
const STRING_WINDOW = 2048;
/** Limits on the length of one name or search path, and of all in a file. */
const MAX_STRING = 1 << 16;
const MAX_STRINGS = 1 << 20;
/** Large programs need a few hundred libraries. */
const MAX_NAMES = 8192;

/**
 * Reads the dynamic section. DT_STRTAB is a virtual address, mapped to a file offset through PT_LOAD;
 * section headers are not used, since a stripped file may have none.
 *
 * @returns undefined for a file without PT_DYNAMIC
 * @throws JailbuildError MALFORMED_ELF
 */
export function readDynamic(source: ByteSource, headers: ElfHeaders): DynamicSection | undefined {
  const bytes = dynamicBytes(source, headers);
  if (bytes === undefined) return undefined;

  let strtab: number | undefined;
  let strsz: number | undefined;
  let flags1 = 0;
  const versionTags = new Map<number, number>();
  const strings: { tag: number; offset: number }[] = [];
  for (const [tag, value] of dynamicEntries(bytes, headers)) {
    switch (tag) {
      case DT.STRTAB:
        strtab = value;
        break;
      case DT.STRSZ:
        strsz = value;
        break;
      case DT.FLAGS_1:
        flags1 = value;
        break;
      case DT.RELR:
      case DT.VERSYM:
      case DT.VERDEF:
      case DT.VERNEED:
        versionTags.set(tag, value);
        break;
      case DT.NEEDED:
      case DT.SONAME:
      case DT.RPATH:
      case DT.RUNPATH:
      case DT.FILTER:
      case DT.AUXILIARY:
      case DT.AUDIT:
      case DT.DEPAUDIT:
        strings.push({ tag, offset: value });
        break;
    }
  }

  const values = new Map<number, string[]>();
  const dependencies: Dependency[] = [];
  if (strings.length > MAX_NAMES) {
    throw malformed(source, 'dynamic section', `names ${strings.length} libraries and paths`);
  }
  const text = once(() => stringTable(source, headers.segments, strtab, strsz));
  if (strings.length > 0) {
    let room = MAX_STRINGS;
    const read = text();
    for (const { tag, offset } of strings) {
      const value = read(offset);
      room -= value.length;
      if (room < 0) throw malformed(source, 'DT_STRTAB', 'has overlong names and paths');
      const list = values.get(tag);
      if (list === undefined) values.set(tag, [value]);
      else list.push(value);
      const kind = DEPENDENCY_KIND[tag];
      if (kind !== undefined) dependencies.push({ kind, name: value });
    }
  }
  const all = (tag: number): readonly string[] => values.get(tag) ?? [];
  // The loader keeps one slot per tag, so the last of several counts.
  const one = (tag: number): string | undefined => all(tag).at(-1);
  return {
    soname: one(DT.SONAME),
    needed: all(DT.NEEDED),
    dependencies,
    rpath: one(DT.RPATH),
    runpath: one(DT.RUNPATH),
    filters: all(DT.FILTER),
    auxiliaries: all(DT.AUXILIARY),
    audits: [one(DT.AUDIT), one(DT.DEPAUDIT)]
      .flatMap((list) => list?.split(':') ?? [])
      .filter((name) => name !== ''),
    noDefaultDirectories: (flags1 & DF_1_NODEFLIB) !== 0,
    isProgram: (flags1 & DF_1_PIE) !== 0,
    versions: versionsOf(source, headers, versionTags, text),
  };
}

/** Records errors instead of throwing them: only the loader decides what they mean. */
function versionsOf(
  source: ByteSource,
  headers: ElfHeaders,
  tags: ReadonlyMap<number, number>,
  text: () => (offset: number) => string,
): SymbolVersions {
  if (tags.size === 0) return NO_VERSIONS;
  const facts = { hasTable: tags.has(DT.VERSYM), hasRelr: tags.has(DT.RELR) };
  const place = (tag: number, field: string): number | undefined => {
    const address = tags.get(tag);
    if (address === undefined) return undefined;
    const at = fileOffset(headers.segments, address);
    if (at === undefined) throw malformed(source, field, 'is not inside any PT_LOAD');
    return at;
  };
  try {
    const needs = place(DT.VERNEED, 'DT_VERNEED');
    const defines = place(DT.VERDEF, 'DT_VERDEF');
    if (needs === undefined && defines === undefined) return { ...NO_VERSIONS, ...facts };
    const read = readVersions(source, headers, { needs, defines }, text());
    return { ...read, ...facts, problem: undefined };
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    return { ...NO_VERSIONS, ...facts, problem: error.message };
  }
}

/** A range of a file, in bytes. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Returns the range of the dynamic string table: names of symbols, versions and libraries, not data of the
 * program. Undefined if the headers do not give it.
 */
export function dynamicStrings(source: ByteSource, headers: ElfHeaders): FileRange | undefined {
  try {
    const bytes = dynamicBytes(source, headers);
    const tags = bytes === undefined ? undefined : new Map(dynamicEntries(bytes, headers));
    const [address, size] = [tags?.get(DT.STRTAB), tags?.get(DT.STRSZ)];
    if (address === undefined || size === undefined) return undefined;
    const start = fileOffset(headers.segments, address);
    return start === undefined ? undefined : { start, end: start + size };
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    return undefined;
  }
}

/**
 * Returns the bytes of the dynamic section.
 *
 * @returns undefined for a file without PT_DYNAMIC
 * @throws JailbuildError MALFORMED_ELF
 */
export function dynamicBytes(source: ByteSource, headers: ElfHeaders): Buffer | undefined {
  const segment = headers.segments.find(({ type }) => type === 'dynamic');
  if (segment === undefined) return undefined;
  if (segment.filesz > MAX_DYNAMIC_SIZE) {
    throw malformed(source, 'PT_DYNAMIC', `has a size of ${segment.filesz} bytes`);
  }
  // The loader finds the section by its address; in debug files it has no contents.
  const at = fileOffset(headers.segments, segment.vaddr);
  if (at === undefined) throw malformed(source, 'PT_DYNAMIC', 'is not inside any PT_LOAD');
  const bytes = source.read(at, segment.filesz);
  if (bytes.length < segment.filesz) {
    throw malformed(source, 'PT_DYNAMIC', 'reaches beyond the end of the file');
  }
  return bytes;
}

/** Yields tag and value of each entry up to DT_NULL; skips tags of more than 32 bits. */
export function* dynamicEntries(bytes: Buffer, headers: ElfHeaders) {
  const { word } = fieldReader(headers);
  const half = headers.class === 32 ? 4 : 8;
  for (let at = 0; at + 2 * half <= bytes.length; at += 2 * half) {
    const tag = word(bytes, at);
    if (tag > MAX_TAG) continue;
    if (tag === DT.NULL) return;
    yield [tag, word(bytes, at + half)] as const;
  }
}

/** The smallest page size: what is mapped with it is also mapped with larger pages. */
const PAGE = 4096;

/**
 * Returns the file offset of a virtual address, or undefined if no PT_LOAD maps it from the file. Whole
 * pages are mapped, each segment over the previous ones; if a segment has more memory than file, its
 * last page is filled with zeros.
 */
export function fileOffset(segments: readonly Segment[], address: number): number | undefined {
  let found: number | undefined;
  for (const { type, offset, vaddr, filesz, memsz } of segments) {
    if (type !== 'load' || filesz === 0) continue;
    const start = vaddr - (vaddr % PAGE);
    const end = vaddr + filesz;
    const mapped = memsz > filesz ? end : Math.ceil(end / PAGE) * PAGE;
    if (address < start || address >= mapped) continue;
    const at = offset + (address - vaddr);
    if (at >= 0) found = at;
  }
  return found;
}

/** Returns a function that reads the string at an offset of the string table. */
function stringTable(
  source: ByteSource,
  segments: readonly Segment[],
  strtab: number | undefined,
  strsz: number | undefined,
): (offset: number) => string {
  if (strtab === undefined) throw malformed(source, 'DT_STRTAB', 'is missing');
  if (strsz === undefined) throw malformed(source, 'DT_STRSZ', 'is missing');
  const base = fileOffset(segments, strtab);
  if (base === undefined) throw malformed(source, 'DT_STRTAB', 'is not inside any PT_LOAD');
  if (base + strsz > source.size) {
    throw malformed(source, 'DT_STRSZ', 'reaches beyond the end of the file');
  }
  const window = strsz <= WHOLE_TABLE ? strsz : STRING_WINDOW;
  let start = 0;
  let bytes = strsz <= WHOLE_TABLE ? source.read(base, strsz) : Buffer.alloc(0);

  return (offset) => {
    if (offset >= strsz) {
      throw malformed(source, 'dynamic section', `names a string at ${offset}, beyond DT_STRSZ`);
    }
    const limit = Math.min(strsz - offset, MAX_STRING);
    let from = offset - start;
    let end = from >= 0 && from < bytes.length ? bytes.indexOf(0, from) : -1;
    // Names of one kind are adjacent, so one read usually covers the next ones.
    for (const length of [window, limit]) {
      if (end >= 0) break;
      start = offset;
      from = 0;
      bytes = source.read(base + offset, Math.min(limit, length));
      end = bytes.indexOf(0);
    }
    if (end < 0 || end - from >= MAX_STRING) {
      throw malformed(source, 'DT_STRTAB', `has a string without end at ${offset}`);
    }
    return fromBytes(bytes.subarray(from, end));
  };
}

/** Postpones work until its result is first used. */
function once<T>(work: () => T): () => T {
  let done: { readonly value: T } | undefined;
  return () => {
    done ??= { value: work() };
    return done.value;
  };
}
