import { crc32 } from 'node:zlib';
import type { CacheFile } from '../../fs/cache-directory.js';
import { closeWhenUnused } from '../../fs/close-when-unused.js';
import { hashOf, highOf, listsIn, type PathLists } from './path-index.js';

/** The size of an entry in bytes. */
const ENTRY = 8;
/** The number of entries that are read together; of a page. */
const BLOCK = 512;
/** In the table of blocks, in words: the upper half of the first entry, and a checksum. */
const ROW = 2;

/** Returns the table of blocks of the entries of an index. */
export function blockTable(entries: BigUint64Array): Uint32Array<ArrayBuffer> {
  const table = new Uint32Array(Math.ceil(entries.length / BLOCK) * ROW);
  for (let at = 0; at < table.length; at += ROW) {
    const block = entries.subarray((at / ROW) * BLOCK, (at / ROW + 1) * BLOCK);
    table[at] = highOf(wordsOf(block), 0);
    table[at + 1] = crc32(bytesOf(block));
  }
  return table;
}

/** An index of paths in a file, of which only the blocks that are asked for are read. */
export class KeptPaths implements PathLists {
  readonly lists: readonly string[];
  readonly #file: CacheFile;
  /** The offset of the first entry in bytes. */
  readonly #start: number;
  readonly #count: number;
  readonly #table: Uint32Array;
  readonly #blocks = new Map<number, Uint32Array>();

  /** @param file is closed when the index is no longer used */
  constructor(
    lists: readonly string[],
    file: CacheFile,
    start: number,
    count: number,
    table: Uint32Array,
  ) {
    this.lists = lists;
    this.#file = file;
    this.#start = start;
    this.#count = count;
    this.#table = table;
    closeWhenUnused(this, file);
  }

  listsOf(path: string): string[] | undefined {
    const hash = hashOf(path);
    const all: string[] = [];
    for (let block = this.#firstBlockOf(hash[0]); block < this.#table.length / ROW; block++) {
      const words = this.#block(block);
      if (words === undefined) return undefined;
      const { found, isOpen } = listsIn(words, hash, this.lists);
      all.push(...found);
      if (!isOpen) break;
    }
    return all;
  }

  /** Returns the last block that begins below the upper half of a hash. */
  #firstBlockOf(high: number): number {
    let [first, end] = [0, this.#table.length / ROW];
    while (first < end) {
      const middle = (first + end) >> 1;
      if ((this.#table[middle * ROW] ?? 0) < high) first = middle + 1;
      else end = middle;
    }
    return Math.max(0, first - 1);
  }

  #block(number: number): Uint32Array | undefined {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const first = number * BLOCK;
    const count = Math.min(BLOCK, this.#count - first);
    const bytes = this.#file.read(this.#start + first * ENTRY, count * ENTRY);
    if (bytes === undefined || crc32(bytes) !== this.#table[number * ROW + 1]) return undefined;
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    this.#blocks.set(number, words);
    return words;
  }
}

function wordsOf({ buffer, byteOffset, byteLength }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}

function bytesOf({ buffer, byteOffset, byteLength }: BigUint64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
