import { endianness } from 'node:os';

/** More than the lists of any installation. */
const MAX_LISTS = 1 << 16;
const NEWLINE = 0x0a;
/** The halves of an entry as words, in the processor's byte order. */
const [LOW, HIGH] = endianness() === 'LE' ? ([0, 1] as const) : ([1, 0] as const);
const WORDS = 2;

/** Knows which lists contain a path. */
export interface PathLists {
  /** The names of all lists. */
  readonly lists: readonly string[];
  /** Returns the lists that contain a path; undefined if the index is damaged. */
  listsOf(path: string): string[] | undefined;
}

/**
 * The lists that name a path: an index by 48-bit hashes, of which two paths share one only with a
 * probability of about 10^-14.
 */
export class PathIndex implements PathLists {
  readonly lists: readonly string[];
  /**
   * For each path of each list, sorted: hash (the upper 48 bits) and number of the list (16 bits).
   */
  readonly entries: BigUint64Array;
  /** The same entries, readable without a BigInt for each. */
  readonly #words: Uint32Array;

  constructor(lists: readonly string[], entries: BigUint64Array) {
    this.lists = lists;
    this.entries = entries;
    this.#words = new Uint32Array(entries.buffer, entries.byteOffset, entries.length * WORDS);
  }

  /**
   * Builds an index of lists of paths, one path a line.
   *
   * @param read returns the bytes of a list, which the next call may overwrite
   */
  static of(lists: readonly string[], read: (list: string) => Buffer): PathIndex {
    const hashes = new Hashes();
    const indexed = lists.slice(0, MAX_LISTS);
    for (const [number, list] of indexed.entries()) hashes.addLines(read(list), number);
    return new PathIndex(indexed, hashes.sorted());
  }

  /** Returns the lists that contain a path. */
  listsOf(wanted: string): string[] {
    return listsIn(this.#words, hashOf(wanted), this.lists).found;
  }
}

/** The upper and the lower half of an entry of list 0. */
export type PathHash = readonly [high: number, low: number];

/**
 * Returns the lists of the entries with a hash.
 *
 * @param words sorted entries, as in {@link PathIndex.entries}
 * @returns isOpen whether entries that follow these could have the same hash
 */
export function listsIn(
  words: Uint32Array,
  [high, low]: PathHash,
  lists: readonly string[],
): { readonly found: string[]; readonly isOpen: boolean } {
  const count = words.length / WORDS;
  let [first, end] = [0, count];
  while (first < end) {
    const middle = (first + end) >> 1;
    const at = middle * WORDS;
    const top = words[at + HIGH] ?? 0;
    if (top < high || (top === high && (words[at + LOW] ?? 0) < low)) first = middle + 1;
    else end = middle;
  }
  const found: string[] = [];
  for (; first < count; first++) {
    const list = (words[first * WORDS + LOW] ?? 0) - low;
    if (words[first * WORDS + HIGH] !== high || list >= MAX_LISTS) break;
    const name = lists[list];
    if (name !== undefined) found.push(name);
  }
  return { found, isOpen: first === count };
}

/** Returns the upper half of an entry. */
export function highOf(words: Uint32Array, index: number): number {
  return words[index * WORDS + HIGH] ?? 0;
}

/** Entries to be sorted. */
class Hashes {
  #words = new Uint32Array(1 << 20);
  #count = 0;

  addLines(bytes: Buffer, list: number): void {
    // Integers of 32 bits from the start, since others are slower to compute with.
    const [offset, secondOffset] = [FNV_OFFSET | 0, SECOND_OFFSET | 0];
    let first = offset;
    let second = secondOffset;
    let start = 0;
    const { length } = bytes;
    // For millions of bytes, an iterator would take half as long again.
    for (let at = 0; at < length; at++) {
      const byte = (bytes[at] as number) | 0;
      if (byte !== NEWLINE) {
        first = Math.imul(first ^ byte, FNV_PRIME);
        second = Math.imul(second ^ byte, SECOND_PRIME);
        continue;
      }
      if (at > start) this.#add(first, second, list);
      first = offset;
      second = secondOffset;
      start = at + 1;
    }
    if (length > start) this.#add(first, second, list);
  }

  sorted(): BigUint64Array {
    return new BigUint64Array(this.#words.buffer, 0, this.#count).slice().sort();
  }

  #add(first: number, second: number, list: number): void {
    const at = this.#count++ * WORDS;
    if (at === this.#words.length) this.#grow();
    this.#words[at + LOW] = lowHalf(second) + list;
    this.#words[at + HIGH] = first;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#words.length * 2);
    larger.set(this.#words);
    this.#words = larger;
  }
}

/** Returns the hash of a path. */
export function hashOf(path: string): PathHash {
  let [first, second] = [FNV_OFFSET, SECOND_OFFSET];
  for (const byte of Buffer.from(path)) {
    first = Math.imul(first ^ byte, FNV_PRIME);
    second = Math.imul(second ^ byte, SECOND_PRIME);
  }
  return [first >>> 0, lowHalf(second)];
}

/** Returns the upper bits, which depend on all others, with room for the number of a list. */
function lowHalf(second: number): number {
  return ((second >>> 16) << 16) >>> 0;
}

/** FNV-1a, 32 bits (draft-eastlake-fnv), and a variant with other constants. */
const [FNV_OFFSET, FNV_PRIME] = [0x811c9dc5, 0x01000193];
const [SECOND_OFFSET, SECOND_PRIME] = [0x9747b28c, 0x5bd1e995];
