import { crc32 } from 'node:zlib';
import { hashOf, highOf, listsIn, type PathLists } from './path-index.js';

/** The size of an entry in words of 32 bits. */
const WORDS = 2;
/** The number of entries with a checksum of their own. */
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

/** An index of paths as it was stored, of which only the blocks that are asked for are checked. */
export class KeptPaths implements PathLists {
  readonly lists: readonly string[];
  readonly #words: Uint32Array;
  readonly #table: Uint32Array;
  readonly #sound = new Set<number>();

  /**
   * @param words the entries, as in {@link PathIndex.entries}
   * @param table of their blocks
   */
  constructor(lists: readonly string[], words: Uint32Array, table: Uint32Array) {
    this.lists = lists;
    this.#words = words;
    this.#table = table;
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

  /** Returns the entries of a block; undefined if they are damaged. */
  #block(number: number): Uint32Array | undefined {
    const words = this.#words.subarray(number * BLOCK * WORDS, (number + 1) * BLOCK * WORDS);
    if (this.#sound.has(number)) return words;
    if (crc32(bytesOf(words)) !== this.#table[number * ROW + 1]) return undefined;
    this.#sound.add(number);
    return words;
  }
}

function wordsOf({ buffer, byteOffset, byteLength }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
