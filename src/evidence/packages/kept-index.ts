import { crc32 } from 'node:zlib';
import { cacheDirectory, readCacheFile, storeCacheFile } from '../../fs/cache-directory.js';
import { PathIndex } from './path-index.js';
import { StatusTable, type StatusTableText } from './status-table.js';

/** Names the format and its version. */
const SCHEMA = 'jailbuild.package-index/3';
/** In bytes; the index of a large distribution is a tenth of it. */
const MAX_SIZE = 256 << 20;
/** A checksum of the rest, and the length of the head. */
const HEADER_SIZE = 8;
/** The size of an entry of the path index in bytes; entries are aligned to it. */
const ENTRY = 8;

/** The parts of dpkg's database that each build needs. */
export interface DpkgIndex {
  readonly status: StatusTable;
  readonly paths: PathIndex;
}

interface Head {
  readonly schema: typeof SCHEMA;
  readonly state: string;
  readonly lists: readonly string[];
  readonly status: StatusTableText;
  /** The number of entries in the path index. */
  readonly count: number;
}

/**
 * Reads the index kept for a state of the database; undefined if there is none, if it is damaged, or if others could
 * write it.
 */
export function keptIndex(state: string): DpkgIndex | undefined {
  try {
    const bytes = readCacheFile(cacheDirectory('packages'), MAX_SIZE);
    if (bytes === undefined) return undefined;
    if (crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return undefined;
    const start = startOf(bytes.readUInt32LE(4));
    const head: Head = JSON.parse(bytes.toString('utf8', HEADER_SIZE, start));
    if (head.schema !== SCHEMA || head.state !== state) return undefined;
    const entries = new BigUint64Array(bytes.buffer, bytes.byteOffset + start, head.count);
    return { status: new StatusTable(head.status), paths: new PathIndex(head.lists, entries) };
  } catch {
    return undefined;
  }
}

/** Keeps an index for a state of the database, if the user has a cache directory. */
export function keepIndex(state: string, { status, paths }: DpkgIndex): void {
  const file = cacheDirectory('packages');
  const { lists, entries } = paths;
  const head: Head = { schema: SCHEMA, state, lists, status: status.text, count: entries.length };
  const text = Buffer.from(JSON.stringify(head));
  const start = startOf(text.length);
  const bytes = Buffer.alloc(start + entries.byteLength, ' ');
  bytes.writeUInt32LE(text.length, 4);
  text.copy(bytes, HEADER_SIZE);
  Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength).copy(bytes, start);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  storeCacheFile(file, bytes);
}

/** Returns the offset of entries after a text of some length. */
function startOf(length: number): number {
  return Math.ceil((HEADER_SIZE + length) / ENTRY) * ENTRY;
}
