import { crc32 } from 'node:zlib';
import { readCacheFile, storeCacheFile } from './cache-directory.js';
import type { OpenFile } from './file-reader.js';
import { SETTLED } from './settled.js';
import type { FileAttributes } from './survey.js';

/** First bytes of a file; the last is the format version. */
const MAGIC = Buffer.from('jbfacts\x02', 'latin1');
/** After the magic: a checksum of the rest of the head, the length of the name, and the number of slots. */
const HEAD = MAGIC.length + 12;
/** In a slot of the table: the hash of a key, and the offset of its record plus one; zero in an empty slot. */
const SLOT = 8;
const MIN_SLOTS = 64;
/** At the start of a record: a checksum of the rest of it, and the lengths of key and text. */
const PREFIX = 12;

/** Maximum size of all records in bytes; above it, the older half is dropped. */
const MAX_RECORDS = 16 << 20;
/** Maximum number of files, one for each version and user: at this number, the older half is removed. */
const MAX_FILES = 8;
/** The table and a long name are smaller than the records. */
const MAX_FILE = 2 * MAX_RECORDS;

/** Facts of a file, as text, and what identifies the file. */
export interface FoundFacts {
  readonly key: string;
  readonly text: string;
}

/**
 * Reads the facts of several ELF files at once. Files that are not ELF, or in any way peculiar, are left out.
 *
 * @param paths inside the root, without links on the way
 * @param names the imported names to report
 */
export type ReadFacts = (
  paths: readonly string[],
  names: readonly string[],
) => readonly FoundFacts[];

/**
 * What was read of files, kept from run to run by device, inode, size and times: the change time cannot be set, so that
 * any change of a file is noticed without opening it. A record is used only if its checksum is right.
 */
export class FileFacts {
  readonly #file: string;
  /** Identifies the program and the user; others may read other facts. */
  readonly #name: string;
  /** Files changed later may change again without a different time; in nanoseconds since the epoch. */
  readonly #latest: bigint;
  readonly #added = new Map<string, string>();
  /** In characters. */
  #room = MAX_RECORDS / 4;
  readonly #kept: KeptFacts | undefined;

  /** @param name facts that were stored under another one are not used */
  constructor(file: string, name: string) {
    this.#file = file;
    this.#name = name;
    this.#latest = BigInt(Date.now() - SETTLED) * 1_000_000n;
    this.#kept = readFacts(file, name);
  }

  /**
   * Returns the facts of a file that is unchanged since they were read.
   *
   * @param kind distinguishes facts that are read at different times
   */
  get(stat: FileAttributes, kind = ''): string | undefined {
    const key = keyOf(stat, kind);
    return key === undefined ? undefined : (this.#added.get(key) ?? this.#kept?.get(key));
  }

  /**
   * Adds facts, unless the file may have changed while they were read.
   *
   * @param stat of the file before it was opened, and after this object was made
   * @param kind as for {@link get}
   */
  add(stat: FileAttributes, file: OpenFile, facts: string, kind = ''): void {
    if (file.isStill?.(stat)) this.#put(stat, facts, kind);
  }

  /** Adds facts that depend on more than the file, or replaces them. */
  replace(stat: FileAttributes, facts: string, kind: string): void {
    this.#put(stat, facts, kind);
  }

  /** Returns whether a file cannot have changed since it was inspected without another time. */
  isSettled({ ctimeNs }: FileAttributes): boolean {
    return ctimeNs !== undefined && ctimeNs <= this.#latest;
  }

  /** Adds facts of a file that has not changed since, as {@link keyOf} tells. */
  addFound(stat: FileAttributes, { text }: FoundFacts): void {
    this.#put(stat, text, '');
  }

  /** Stores what was added. */
  save(): void {
    if (this.#added.size === 0) return;
    // Another run may have stored some in the meantime.
    const kept = readFacts(this.#file, this.#name);
    const added = [...this.#added].filter(([key, facts]) => kept?.get(key) !== facts);
    if (added.length > 0) storeCacheFile(this.#file, fileOf(this.#name, kept, added), MAX_FILES);
  }

  #put(stat: FileAttributes, facts: string, kind: string): void {
    const key = keyOf(stat, kind);
    if (key === undefined || !this.isSettled(stat) || facts.length > this.#room) return;
    this.#room -= facts.length;
    this.#added.set(key, facts);
  }
}

/**
 * Returns what identifies a file and its content; native/engine/facts.c writes the same.
 *
 * @returns undefined if it is unknown when the file was last changed
 */
export function keyOf(
  { identity, size, mtimeNs, ctimeNs }: FileAttributes,
  kind = '',
): string | undefined {
  return ctimeNs === undefined ? undefined : `${identity} ${size} ${mtimeNs} ${ctimeNs}${kind}`;
}

/** What a file has stored. */
class KeptFacts {
  /** Each with a prefix. */
  readonly records: Buffer;
  readonly #slots: Buffer;

  constructor(slots: Buffer, records: Buffer) {
    this.#slots = slots;
    this.records = records;
  }

  /** Returns the text of an undamaged record. */
  get(key: string): string | undefined {
    const hash = crc32(key);
    const count = this.#slots.length / SLOT;
    for (let index = hash % count; ; index = (index + 1) % count) {
      const end = this.#slots.readUInt32LE(index * SLOT + 4);
      if (end === 0) return undefined;
      if (this.#slots.readUInt32LE(index * SLOT) !== hash) continue;
      const text = textOf(this.records, end - 1, key);
      if (text !== undefined) return text;
    }
  }

  /** Returns hash and offset of each record. */
  *places(): Generator<readonly [hash: number, offset: number]> {
    for (let at = 0; at < this.#slots.length; at += SLOT) {
      const end = this.#slots.readUInt32LE(at + 4);
      if (end > 0) yield [this.#slots.readUInt32LE(at), end - 1];
    }
  }
}

function textOf(records: Buffer, at: number, key: string): string | undefined {
  if (at + PREFIX > records.length) return undefined;
  const text = at + PREFIX + records.readUInt32LE(at + 4);
  const end = text + records.readUInt32LE(at + 8);
  if (end > records.length || records.toString('latin1', at + PREFIX, text) !== key)
    return undefined;
  if (crc32(records.subarray(at + 4, end)) !== records.readUInt32LE(at)) return undefined;
  return records.toString('utf8', text, end);
}

/** @returns undefined if the file is damaged, another format, or has another name */
function readFacts(file: string, name: string): KeptFacts | undefined {
  const bytes = readCacheFile(file, MAX_FILE);
  if (bytes === undefined || bytes.length < HEAD) return undefined;
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const slots = HEAD + bytes.readUInt32LE(MAGIC.length + 4);
  const records = slots + bytes.readUInt32LE(MAGIC.length + 8) * SLOT;
  const sum = bytes.readUInt32LE(MAGIC.length);
  if (records > bytes.length || crc32(bytes.subarray(MAGIC.length + 4, records)) !== sum) {
    return undefined;
  }
  if (bytes.toString('utf8', HEAD, slots) !== name) return undefined;
  return new KeptFacts(bytes.subarray(slots, records), bytes.subarray(records));
}

function fileOf(
  name: string,
  kept: KeptFacts | undefined,
  added: readonly (readonly [key: string, text: string])[],
): Buffer {
  const news = added.map(([key, text]) => ({
    hash: crc32(key),
    record: recordOf(key, text),
  }));
  const size = news.reduce((sum, { record }) => sum + record.length, 0);
  const old = kept?.records ?? Buffer.alloc(0);
  const cut = old.length + size > MAX_RECORDS ? middleOf(old) : 0;
  const places: (readonly [hash: number, offset: number])[] = [];
  const replaced = new Map(added.map(([key]) => [crc32(key), key]));
  for (const [hash, offset] of kept?.places() ?? []) {
    const key = replaced.get(hash);
    const isReplaced = key !== undefined && textOf(old, offset, key) !== undefined;
    if (offset >= cut && !isReplaced) places.push([hash, offset - cut]);
  }
  let end = old.length - cut;
  for (const { hash, record } of news) {
    places.push([hash, end]);
    end += record.length;
  }
  const text = Buffer.from(name);
  const table = tableOf(places);
  const head = Buffer.alloc(HEAD);
  MAGIC.copy(head);
  head.writeUInt32LE(text.length, MAGIC.length + 4);
  head.writeUInt32LE(table.length / SLOT, MAGIC.length + 8);
  const sum = crc32(Buffer.concat([head.subarray(MAGIC.length + 4), text, table]));
  head.writeUInt32LE(sum, MAGIC.length);
  return Buffer.concat([head, text, table, old.subarray(cut), ...news.map((one) => one.record)]);
}

function recordOf(key: string, text: string): Buffer {
  const length = Buffer.byteLength(text);
  const record = Buffer.alloc(PREFIX + key.length + length);
  record.writeUInt32LE(key.length, 4);
  record.writeUInt32LE(length, 8);
  record.write(key, PREFIX, 'latin1');
  record.write(text, PREFIX + key.length);
  record.writeUInt32LE(crc32(record.subarray(4)), 0);
  return record;
}

/** Returns the offset of the first record behind the middle. */
function middleOf(records: Buffer): number {
  let at = 0;
  while (at < records.length / 2 && at + PREFIX <= records.length) {
    at += PREFIX + records.readUInt32LE(at + 4) + records.readUInt32LE(at + 8);
  }
  return Math.min(at, records.length);
}

/** Returns a hash table, half of it empty at least. */
function tableOf(places: readonly (readonly [hash: number, offset: number])[]): Buffer {
  let count = MIN_SLOTS;
  while (count < places.length * 2) count *= 2;
  const table = Buffer.alloc(count * SLOT);
  for (const [hash, offset] of places) {
    let index = hash % count;
    while (table.readUInt32LE(index * SLOT + 4) !== 0) index = (index + 1) % count;
    table.writeUInt32LE(hash, index * SLOT);
    table.writeUInt32LE(offset + 1, index * SLOT + 4);
  }
  return table;
}
