import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { cacheDirectory, replaceCacheFile } from '../../fs/cache-directory.js';
import { toBytes } from '../../fs/path-bytes.js';
import { PathIndex } from './path-index.js';
import { StatusTable, type StatusTableText } from './status-table.js';

/** Names the format and its version. */
const SCHEMA = 'jailbuild.package-index/2';
const HEADER_SIZE = 4;
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
 * Reads the index kept for a state of the database; undefined if there is none, or if others could
 * write it.
 */
export function keptIndex(state: string): DpkgIndex | undefined {
  try {
    const bytes = readOwn(cacheDirectory('packages'));
    if (bytes === undefined) return undefined;
    const start = startOf(bytes.readUInt32LE(0));
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
  bytes.writeUInt32LE(text.length, 0);
  text.copy(bytes, HEADER_SIZE);
  Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength).copy(bytes, start);
  try {
    mkdirSync(toBytes(path.dirname(file)), { recursive: true, mode: 0o700 });
    replaceCacheFile(file, bytes);
  } catch {
    // It only saves time.
  }
}

/** Returns the offset of entries after a text of some length. */
function startOf(length: number): number {
  return Math.ceil((HEADER_SIZE + length) / ENTRY) * ENTRY;
}

/** Reads a file into memory that is aligned for entries. */
function readOwn(file: string): Buffer | undefined {
  const fd = openSync(
    toBytes(file),
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    const { uid, mode, size } = fstatSync(fd);
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) return undefined;
    const bytes = Buffer.from(new ArrayBuffer(size));
    return readSync(fd, bytes) === size ? bytes : undefined;
  } finally {
    closeSync(fd);
  }
}
