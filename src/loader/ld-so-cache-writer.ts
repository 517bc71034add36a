import type { ByteOrder } from '../elf/types.js';
import { pathBuffer } from '../fs/path-bytes.js';
import { ENDIAN_FLAG, EXTENSION, HWCAP_EXTENSION, NEW } from './cache-format.js';
import { compareCacheNames } from './cache-order.js';
import type { CacheEntry } from './ld-so-cache.js';

const { MAGIC, HEADER_SIZE, ENTRY_SIZE } = NEW;
const { MAGIC: EXTENSION_MAGIC, HEADER_SIZE: EXTENSION_HEADER_SIZE, SECTION_SIZE } = EXTENSION;

/**
 * Returns the bytes of an ld.so.cache in the format of glibc 2.2 and later, with the extension of
 * glibc 2.33 if libraries for CPU feature levels are listed (glibc sysdeps/generic/dl-cache.h).
 * Entries are in the order of `ldconfig` (elf/cache.c, compare), regardless of the given order.
 */
export function writeLdSoCache(entries: readonly CacheEntry[], byteOrder: ByteOrder): Buffer {
  const sorted = [...entries].sort(compareEntries);
  const levels = [...new Set(sorted.flatMap(({ hwcaps }) => hwcaps ?? []))].sort();
  const strings = new StringTable(HEADER_SIZE + sorted.length * ENTRY_SIZE);
  // A soname is usually the end of its path, so paths come first.
  for (const { path } of sorted) strings.add(path);
  for (const { path, soname } of sorted) {
    if (path.endsWith(`/${soname}`)) strings.addTail(path, soname);
    else strings.add(soname);
  }
  for (const level of levels) strings.add(level);

  const text = strings.bytes();
  const textEnd = HEADER_SIZE + sorted.length * ENTRY_SIZE + text.length;
  const extension = levels.length === 0 ? 0 : Math.ceil(textEnd / 4) * 4;
  const size =
    extension === 0
      ? textEnd
      : extension + EXTENSION_HEADER_SIZE + SECTION_SIZE + levels.length * 4;

  const out = Buffer.alloc(size);
  const u32 = (value: number, at: number) =>
    byteOrder === 'little' ? out.writeUInt32LE(value, at) : out.writeUInt32BE(value, at);
  out.write(MAGIC, 'latin1');
  u32(sorted.length, 20);
  u32(text.length, 24);
  out[28] = ENDIAN_FLAG[byteOrder];
  u32(extension, 32);
  sorted.forEach(({ soname, path, hwcaps, flags }, index) => {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    u32(flags, at);
    u32(strings.offsetOf(soname), at + 4);
    u32(strings.offsetOf(path), at + 8);
    if (hwcaps === undefined) return;
    const [low, high] = byteOrder === 'little' ? [16, 20] : [20, 16];
    u32(levels.indexOf(hwcaps), at + low);
    u32(HWCAP_EXTENSION, at + high);
  });
  text.copy(out, HEADER_SIZE + sorted.length * ENTRY_SIZE);
  if (extension > 0) {
    const names = extension + EXTENSION_HEADER_SIZE + SECTION_SIZE;
    u32(EXTENSION_MAGIC, extension);
    u32(1, extension + 4);
    u32(EXTENSION.TAG_HWCAPS, extension + 8);
    u32(names, extension + 16);
    u32(levels.length * 4, extension + 20);
    levels.forEach((level, index) => {
      u32(strings.offsetOf(level), names + index * 4);
    });
  }
  return out;
}

/** Compares by name in descending order; for one name, variants precede the baseline. */
function compareEntries(a: CacheEntry, b: CacheEntry): number {
  const order = compareCacheNames(b.soname, a.soname) || b.flags - a.flags;
  if (order !== 0) return order;
  if (a.hwcaps === undefined || b.hwcaps === undefined) {
    return Number(a.hwcaps === undefined) - Number(b.hwcaps === undefined);
  }
  return compareText(a.hwcaps, b.hwcaps) || compareText(a.path, b.path);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Zero-terminated strings, with the offset of each in the file. */
class StringTable {
  readonly #offsets = new Map<string, number>();
  readonly #parts: Buffer[] = [];
  #end: number;

  constructor(start: number) {
    this.#end = start;
  }

  add(text: string): void {
    if (this.#offsets.has(text)) return;
    const bytes = pathBuffer(`${text}\0`);
    this.#offsets.set(text, this.#end);
    this.#parts.push(bytes);
    this.#end += bytes.length;
  }

  /** Adds a string that is the end of an existing one. */
  addTail(text: string, tail: string): void {
    if (this.#offsets.has(tail)) return;
    const before = Buffer.byteLength(text) - Buffer.byteLength(tail);
    this.#offsets.set(tail, this.offsetOf(text) + before);
  }

  offsetOf(text: string): number {
    const offset = this.#offsets.get(text);
    if (offset === undefined) throw new Error(`${text} is not in the string table`);
    return offset;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
