import { crc32 } from 'node:zlib';
import { cacheDirectory, readCacheFile, storeCacheFile } from '../../fs/cache-directory.js';
import { blockTable, KeptPaths } from './kept-paths.js';
import type { PathIndex, PathLists } from './path-index.js';
import { StatusTable } from './status-table.js';

/** Names the format and its version. */
const SCHEMA = 'jailbuild.package-index/4';
/** In bytes; the index of a large distribution is a tenth of it. */
const MAX_SIZE = 256 << 20;
/** A checksum of what follows up to the entries, the offset of the entries, and the length of the head. */
const HEADER_SIZE = 12;
/** The size of an entry of the path index in bytes; entries and table are aligned to it. */
const ENTRY = 8;

/** The parts of dpkg's database that each build needs. */
export interface DpkgIndex {
  readonly status: StatusTable;
  readonly paths: PathLists;
}

/** Is followed by the lists, the texts of the status table, and the table of blocks. */
interface Head {
  readonly schema: typeof SCHEMA;
  readonly state: string;
  /** The lengths of the texts in bytes. */
  readonly lengths: readonly number[];
  /** The number of words in the table of blocks. */
  readonly table: number;
  /** The number of entries in the path index. */
  readonly count: number;
}

/**
 * Reads the index kept for a state of the database; undefined if there is none, if it is damaged, or if others could
 * write it. Entries of paths are checked when they are looked up.
 */
export function keptIndex(state: string): DpkgIndex | undefined {
  const bytes = readCacheFile(cacheDirectory('packages'), MAX_SIZE);
  const start = bytes === undefined || bytes.length < HEADER_SIZE ? 0 : bytes.readUInt32LE(4);
  if (bytes === undefined || start < HEADER_SIZE || start > bytes.length) return undefined;
  if (crc32(bytes.subarray(4, start)) !== bytes.readUInt32LE(0)) return undefined;
  const textsAt = HEADER_SIZE + bytes.readUInt32LE(8);
  const { schema, state: of, lengths, table, count } = headOf(bytes.subarray(HEADER_SIZE, textsAt));
  if (schema !== SCHEMA || of !== state) return undefined;
  if (start + count * ENTRY !== bytes.length) return undefined;
  let at = textsAt;
  const [lists = '', packages = '', provides = '', essentials = ''] = lengths.map((length) => {
    const text = bytes.toString('utf8', at, at + length);
    at += length;
    return text;
  });
  const words = (from: number, length: number) =>
    new Uint32Array(bytes.buffer, bytes.byteOffset + from, length);
  const entries = words(start, (count * ENTRY) / 4);
  const paths = new KeptPaths(lists.split('\n'), entries, words(aligned(at), table));
  return { status: new StatusTable({ packages, provides, essentials }), paths };
}

/** Keeps an index for a state of the database, if the user has a cache directory. */
export function keepIndex(
  state: string,
  { status, paths }: { readonly status: StatusTable; readonly paths: PathIndex },
): void {
  const { lists, entries } = paths;
  const { packages, provides, essentials } = status.text;
  const texts = [lists.join('\n'), packages, provides, essentials].map((text) => Buffer.from(text));
  const table = blockTable(entries);
  const head: Head = {
    schema: SCHEMA,
    state,
    lengths: texts.map(({ length }) => length),
    table: table.length,
    count: entries.length,
  };
  const headText = Buffer.from(JSON.stringify(head));
  const front = Buffer.concat([Buffer.alloc(HEADER_SIZE), headText, ...texts]);
  const start = aligned(aligned(front.length) + table.byteLength);
  const bytes = Buffer.alloc(start + entries.byteLength);
  front.copy(bytes);
  Buffer.from(table.buffer).copy(bytes, aligned(front.length));
  Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength).copy(bytes, start);
  bytes.writeUInt32LE(start, 4);
  bytes.writeUInt32LE(headText.length, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(4, start)), 0);
  storeCacheFile(cacheDirectory('packages'), bytes);
}

/** Parses the head of a file whose checksum is right, so that it was written as a head. */
function headOf(bytes: Buffer): Head {
  return JSON.parse(bytes.toString('utf8'));
}

/** Returns the next offset at which entries and tables may be. */
function aligned(offset: number): number {
  return Math.ceil(offset / ENTRY) * ENTRY;
}
