import { JailbuildError } from '../errors.js';
import { fromBytes } from '../fs/path-bytes.js';
import {
  ENDIAN_FLAG,
  EXTENSION,
  HWCAP_EXTENSION,
  ISA_LEVEL,
  NEW,
  OLD,
  TLS_HWCAP,
} from './cache-format.js';
import { cacheKey } from './cache-order.js';

/** One entry of the cache, as `ldconfig -p` prints it. */
export interface CacheEntry {
  /** The soname. */
  readonly soname: string;
  /** The file's absolute path. */
  readonly path: string;
  /**
   * The glibc-hwcaps level that the CPU must have, such as x86-64-v3; undefined for the baseline;
   * empty if the loader finds no name for it and ignores the entry on all CPUs. `tls` is for a file
   * in a subdirectory of that name, which loaders before glibc 2.37 accept on every CPU.
   */
  readonly hwcaps: string | undefined;
  /** Flags for library type and required ABI (glibc sysdeps/generic/ldconfig.h). */
  readonly flags: number;
}

/**
 * Entries by `cacheKey` of the soname, in the cache's order, which is the loader's order of
 * preference.
 */
export type LdSoCache = ReadonlyMap<string, readonly CacheEntry[]>;

export const TLS = 'tls';

/** In bytes; caches of large systems have about a megabyte. */
export const MAX_CACHE_SIZE = 8 << 20;
/** The maximum length of a name or path in bytes (limits.h, PATH_MAX). */
const MAX_STRING = 4096;
/** Byte order of this machine. */
const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const NON_ASCII = /[\x80-\xff]/;

/**
 * Parses /etc/ld.so.cache: the format of glibc 2.2 and later, alone or after the old one as
 * `ldconfig -c compat` writes it, or the old format alone (glibc sysdeps/generic/dl-cache.h).
 *
 * @throws JailbuildError MALFORMED_CACHE naming the field
 */
export function parseLdSoCache(bytes: Buffer, path: string): LdSoCache {
  const fail = (problem: string) =>
    new JailbuildError('MALFORMED_CACHE', `${path}: malformed library cache: ${problem}`, path);
  if (bytes.length > MAX_CACHE_SIZE) throw fail(`it has ${bytes.length} bytes`);
  if (startsWith(bytes, 0, NEW.MAGIC)) return parseNew(bytes, 0, fail);
  if (!startsWith(bytes, 0, OLD.MAGIC)) throw fail('unknown magic number');

  if (bytes.length < OLD.HEADER_SIZE) throw fail('the header is cut short');
  // The old header does not declare its byte order: only the right one gives a table that fits.
  const little = fits(bytes.readUInt32LE(12), OLD.HEADER_SIZE, OLD.ENTRY_SIZE, bytes.length);
  const count = little ? bytes.readUInt32LE(12) : bytes.readUInt32BE(12);
  if (!fits(count, OLD.HEADER_SIZE, OLD.ENTRY_SIZE, bytes.length)) {
    throw fail(`nlibs is ${count}, more than the file holds`);
  }
  const end = OLD.HEADER_SIZE + count * OLD.ENTRY_SIZE;
  const aligned = Math.ceil(end / 8) * 8;
  if (startsWith(bytes, aligned, NEW.MAGIC)) return parseNew(bytes, aligned, fail);

  const u32 = reader(bytes, little);
  const string = stringReader(bytes, fail);
  const entries: CacheEntry[] = [];
  for (let at = OLD.HEADER_SIZE; at < end; at += OLD.ENTRY_SIZE) {
    entries.push({
      soname: string(end + u32(at + 4)),
      path: string(end + u32(at + 8)),
      hwcaps: undefined,
      flags: u32(at),
    });
  }
  return bySoname(entries);
}

function parseNew(bytes: Buffer, base: number, fail: (problem: string) => Error): LdSoCache {
  const room = bytes.length - base;
  if (room < NEW.HEADER_SIZE) throw fail('the header is cut short');
  const mark = (bytes[base + 28] ?? 0) & 3;
  const little =
    mark === ENDIAN_FLAG.little ||
    (mark !== ENDIAN_FLAG.big &&
      fits(bytes.readUInt32LE(base + 20), NEW.HEADER_SIZE, NEW.ENTRY_SIZE, room));
  const u32 = reader(bytes, little);
  const count = u32(base + 20);
  if (!fits(count, NEW.HEADER_SIZE, NEW.ENTRY_SIZE, room)) {
    throw fail(`nlibs is ${count}, more than the file holds`);
  }
  const string = stringReader(bytes, fail);
  const levels = hwcapsNames(bytes, base, u32(base + 32), u32, string, fail);

  const entries: CacheEntry[] = [];
  const table = base + NEW.HEADER_SIZE;
  const words = wordsOf(bytes.subarray(table, table + count * NEW.ENTRY_SIZE), little);
  const word = (index: number) => words[index] ?? 0;
  for (let index = 0; index < count; index++) {
    const at = index * (NEW.ENTRY_SIZE / 4);
    const low = word(little ? at + 4 : at + 5);
    const high = word(little ? at + 5 : at + 4);
    let hwcaps: string | undefined;
    if ((high & ~ISA_LEVEL) === HWCAP_EXTENSION) {
      hwcaps = levels[low];
      if (hwcaps === undefined) throw fail(`entry ${index} has the unknown hwcaps index ${low}`);
    } else if (high === TLS_HWCAP && low === 0) {
      hwcaps = TLS;
    } else if (high !== 0 || low !== 0) {
      hwcaps = `hwcap-${(BigInt(high) * 2n ** 32n + BigInt(low)).toString(16)}`;
    }
    entries.push({
      soname: string(base + word(at + 1)),
      path: string(base + word(at + 2)),
      hwcaps,
      flags: word(at),
    });
  }
  return bySoname(entries);
}

/** Reads all words of a table at once, since one call for each would take longer than parsing. */
function wordsOf(table: Buffer, little: boolean): Uint32Array {
  const copy = Buffer.from(new ArrayBuffer(table.length));
  table.copy(copy);
  if (little !== IS_LITTLE) copy.swap32();
  return new Uint32Array(copy.buffer);
}

/**
 * Returns the names of the hwcaps extension, by index (struct cache_extension). All offsets count
 * from the file's start. But ldconfig writes string offsets relative to the start of the new
 * format, so after an old one the loader and `ldconfig -p` look for the names at wrong offsets
 * (dl-cache.c, glibc_hwcaps_compare); the names are then empty.
 */
function hwcapsNames(
  bytes: Buffer,
  base: number,
  extension: number,
  u32: (at: number) => number,
  string: (at: number) => string,
  fail: (problem: string) => Error,
): string[] {
  if (extension === 0) return [];
  const start = extension;
  if (start + EXTENSION.HEADER_SIZE > bytes.length)
    throw fail('extension_offset lies beyond the end of the file');
  if (u32(start) !== EXTENSION.MAGIC) throw fail('the extension has an unknown magic number');
  const sections = u32(start + 4);
  if (!fits(sections, EXTENSION.HEADER_SIZE, EXTENSION.SECTION_SIZE, bytes.length - start)) {
    throw fail(`the extension has ${sections} sections, more than the file holds`);
  }
  for (let index = 0; index < sections; index++) {
    const at = start + EXTENSION.HEADER_SIZE + index * EXTENSION.SECTION_SIZE;
    if (u32(at) !== EXTENSION.TAG_HWCAPS) continue;
    const offset = u32(at + 8);
    const size = u32(at + 12);
    if (offset + size > bytes.length || size % 4 !== 0) {
      throw fail('the hwcaps section lies beyond the end of the file');
    }
    const names: string[] = [];
    for (let item = 0; item < size; item += 4) {
      names.push(base === 0 ? string(u32(offset + item)) : '');
    }
    return names;
  }
  return [];
}

function bySoname(entries: readonly CacheEntry[]): LdSoCache {
  const cache = new Map<string, CacheEntry[]>();
  for (const entry of entries) {
    const key = cacheKey(entry.soname);
    const list = cache.get(key);
    if (list === undefined) cache.set(key, [entry]);
    else list.push(entry);
  }
  return cache;
}

/**
 * Returns a function that reads the string at an offset. Strings may share only their ends, so
 * together they have at most twice the bytes of the cache.
 */
function stringReader(bytes: Buffer, fail: (problem: string) => Error): (at: number) => string {
  const known = new Map<number, string>();
  // Decoded once: each call into a Buffer takes longer than a search in a string.
  const latin1 = bytes.toString('latin1');
  let budget = 2 * bytes.length;
  return (at) => {
    const again = known.get(at);
    if (again !== undefined) return again;
    const end = at < bytes.length ? latin1.indexOf('\0', at) : -1;
    if (end < 0) throw fail(`a string at ${at} lies beyond the end of the file`);
    if (end - at > MAX_STRING) throw fail(`a string at ${at} has ${end - at} bytes`);
    budget -= end - at;
    if (budget < 0) throw fail('its strings overlap');
    const raw = latin1.slice(at, end);
    const text = NON_ASCII.test(raw) ? fromBytes(bytes.subarray(at, end)) : raw;
    known.set(at, text);
    return text;
  };
}

function startsWith(bytes: Buffer, at: number, text: string): boolean {
  return (
    bytes.length >= at + text.length && bytes.toString('latin1', at, at + text.length) === text
  );
}

function fits(count: number, header: number, size: number, room: number): boolean {
  return header + count * size <= room;
}

function reader(bytes: Buffer, little: boolean): (at: number) => number {
  return little ? (at) => bytes.readUInt32LE(at) : (at) => bytes.readUInt32BE(at);
}
