import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { cacheDirectory, replaceCacheFile } from '../../fs/cache-directory.js';

/** Names the format and its version. */
const SCHEMA = 'jailbuild.package-index/1';
/** The files of a distribution's whole archive are fewer. */
const MAX_LISTS = 1 << 16;
const HEADER_SIZE = 4;

/**
 * Which lists may name a path: an index by hashes of paths, so that few lists are read. A wrong one
 * can only miss an owner, since every list that it names is read.
 */
export class PathIndex {
  readonly #lists: readonly string[];
  /** Hash and number of the list, as `hash * MAX_LISTS + list`, sorted. */
  readonly #entries: Float64Array;

  private constructor(lists: readonly string[], entries: Float64Array) {
    this.#lists = lists;
    this.#entries = entries;
  }

  /** Makes an index of lists of paths, a path a line. */
  static of(lists: readonly string[], read: (list: string) => Buffer): PathIndex {
    const parts: Float64Array[] = [];
    for (const [number, list] of lists.slice(0, MAX_LISTS).entries()) {
      parts.push(hashLines(read(list), number));
    }
    const entries = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      entries.set(part, at);
      at += part.length;
    }
    return new PathIndex(lists, entries.sort());
  }

  /** The lists that may have a path. */
  listsOf(wanted: string): string[] {
    const first = hashOf(Buffer.from(wanted)) * MAX_LISTS;
    const entries = this.#entries;
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((entries[middle] ?? 0) < first) low = middle + 1;
      else high = middle;
    }
    const found: string[] = [];
    for (; low < entries.length; low++) {
      const list = (entries[low] ?? 0) - first;
      if (list >= MAX_LISTS) break;
      const name = this.#lists[list];
      if (name !== undefined) found.push(name);
    }
    return found;
  }

  /** Reads the index that was kept for a state of the database; undefined if there is none. */
  static kept(state: string): PathIndex | undefined {
    try {
      const bytes = readFileSync(cacheDirectory('packages'));
      const length = bytes.readUInt32LE(0);
      const head = JSON.parse(bytes.toString('utf8', HEADER_SIZE, HEADER_SIZE + length));
      if (head.schema !== SCHEMA || head.state !== state) return undefined;
      const start = Math.ceil((HEADER_SIZE + length) / 8) * 8;
      const { buffer, byteOffset } = bytes;
      const data =
        (byteOffset + start) % 8 === 0
          ? new Float64Array(buffer, byteOffset + start, head.count)
          : new Float64Array(new Uint8Array(bytes.subarray(start, start + head.count * 8)).buffer);
      return new PathIndex(head.lists, data);
    } catch {
      return undefined;
    }
  }

  /** Keeps the index for a state of the database, where the user has a place for caches. */
  keep(state: string): void {
    const file = cacheDirectory('packages');
    const entries = this.#entries;
    const head = { schema: SCHEMA, state, lists: this.#lists, count: entries.length };
    const text = Buffer.from(JSON.stringify(head));
    const start = Math.ceil((HEADER_SIZE + text.length) / 8) * 8;
    const bytes = Buffer.alloc(start + entries.byteLength);
    bytes.writeUInt32LE(text.length, 0);
    text.copy(bytes, HEADER_SIZE);
    Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength).copy(bytes, start);
    try {
      mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      replaceCacheFile(file, bytes);
    } catch {
      // It only saves time.
    }
  }
}

/** FNV-1a of each line, and the number of its list. */
function hashLines(bytes: Buffer, list: number): Float64Array {
  const hashes = new Float64Array(bytes.length >> 1);
  let count = 0;
  let hash = FNV_OFFSET;
  let start = true;
  for (const byte of bytes) {
    if (byte === 0x0a) {
      if (!start) hashes[count++] = (hash >>> 0) * MAX_LISTS + list;
      hash = FNV_OFFSET;
      start = true;
      continue;
    }
    hash = Math.imul(hash ^ byte, FNV_PRIME);
    start = false;
  }
  if (!start) hashes[count++] = (hash >>> 0) * MAX_LISTS + list;
  return hashes.slice(0, count);
}

function hashOf(bytes: Buffer): number {
  let hash = FNV_OFFSET;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

/** FNV-1a, 32 bits (draft-eastlake-fnv). */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
