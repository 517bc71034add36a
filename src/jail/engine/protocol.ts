import { pathBuffer } from '../../fs/path-bytes.js';
import type { Extent } from '../../fs/sparse-files.js';
import type { Attributes, Operation } from './operations.js';

/**
 * The protocol of the native engine; native/engine/engine.h is the other end. All numbers are little-endian. A string is
 * its length in four bytes, its bytes, and a NUL. A request is its length in four bytes, followed by one of
 *
 *     'B' base source-root                          both strings; must be the first
 *     'R' run:4 job:4 flags:1 count:4 operation…    carry out; the first failure ends all jobs of a run.
 *                                                   Flag 1: in this order; flag 2: a signal ends the job
 *     'S' run:4                                     begin no more operations of a run
 *     'E' job:4                                     release locks and directories; a reply confirms it
 *
 * A reply is `job:4 index:4 kind:1 errno:4 length:4 data…`. The reply at the end of a job has the errno ECANCELED if a
 * signal ended the job.
 */

/** Numbers of operations; native/engine.h lists them in the same order. */
const NUMBER: Readonly<Record<Operation['op'], number>> = {
  mkdir: 1,
  copy: 2,
  write: 3,
  link: 4,
  node: 5,
  symlink: 6,
  attributes: 7,
  rename: 8,
  exchange: 9,
  replace: 10,
  unlink: 11,
  rmdir: 12,
  'remove-if-empty': 13,
  'remove-tree': 14,
  empty: 15,
  lock: 16,
  sync: 17,
  'sync-directory': 18,
};
const XATTRS = 19;
const EXTENTS = 20;
const CHECK = 21;
const SURVEY = 22;
const PLACE = 23;
const NODE_TYPE = { fifo: 0, 'character-device': 1, 'block-device': 2 } as const;

/** Usual sizes of the head of a request, and of an operation. */
const HEAD_SIZE = 256;
const USUAL_SIZE = 256;
const REPLY_HEAD = 17;
/** Maximum number of bytes of UTF-8 for a unit of a string. */
const MAX_UTF8 = 3;

export enum ReplyKind {
  done,
  failedInJail,
  failedAtSource,
  sourceChanged,
  warning,
  data,
  end,
}

export interface Reply {
  readonly job: number;
  /** Index of the operation in its job. */
  readonly index: number;
  readonly kind: ReplyKind;
  /** The errno. */
  readonly errno: number;
  readonly data: Buffer;
  /** All of it as it came. */
  readonly raw: Buffer;
}

/** Builds a request. */
class Writer {
  /** What precedes `#bytes`. */
  readonly #parts: Buffer[] = [];
  #bytes: Buffer;
  #length = 4;

  /** @param size expected length in bytes */
  constructor(size = HEAD_SIZE) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  number(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32LE(value, this.#length);
  }

  long(value: bigint): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeBigInt64LE(value, this.#length);
  }

  /** Writes an integer, negative or not, as {@link long}. */
  integer(value: number): void {
    if (value < 0 || value >= 2 ** 32) {
      this.long(BigInt(value));
      return;
    }
    this.number(value);
    this.number(0);
  }

  bytes(value: Buffer): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#length += value.copy(this.#bytes, this.#length);
  }

  /** Writes parts in the form of {@link bytes}, without a copy: those of a large record take much memory. */
  parts(values: readonly Buffer[]): void {
    this.number(values.reduce((size, { length }) => size + length, 0));
    this.#parts.push(this.#bytes.subarray(0, this.#length), ...values);
    this.#bytes = Buffer.allocUnsafe(HEAD_SIZE);
    this.#length = 0;
  }

  string(value: string): void {
    if (!value.isWellFormed()) {
      this.bytes(pathBuffer(value));
      this.byte(0);
      return;
    }
    this.#reserve(4 + value.length * MAX_UTF8 + 1);
    const start = this.#length + 4;
    const length = this.#bytes.write(value, start);
    this.#bytes.writeUInt32LE(length, this.#length);
    this.#length = start + length;
    this.byte(0);
  }

  /** Writes seconds and nine decimal places. */
  time(value: string): void {
    const cut = value.indexOf('.');
    this.integer(Number(value.slice(0, cut)));
    this.number(Number(value.slice(cut + 1)));
  }

  /** Returns the parts of the complete request with its length prefix. */
  request(): Buffer[] {
    const parts = [...this.#parts, this.#bytes.subarray(0, this.#length)];
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    parts[0]?.writeUInt32LE(size - 4, 0);
    return parts;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const { length } = this.#bytes;
    const needed = Math.max(length, this.#length + count);
    const larger = Buffer.allocUnsafe(needed + length);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

export function beginRequest(base: string, sourceRoot: string): Buffer[] {
  const writer = new Writer();
  writer.byte(0x42);
  writer.string(base);
  writer.string(sourceRoot);
  return writer.request();
}

export function runRequest(
  run: number,
  job: number,
  ordered: boolean,
  operations: readonly Operation[],
  interruptible: boolean,
): Buffer[] {
  const writer = jobHead(run, job, (ordered ? 1 : 0) | (interruptible ? 2 : 0), operations.length);
  for (const operation of operations) encode(writer, operation);
  return writer.request();
}

/** A part of a file that this process has created: bytes, and the content of a source after them. */
export interface Placement {
  /** Where the bytes go. */
  readonly offset: number;
  readonly bytes: Buffer;
  /** Its path is relative to the source root. Its size is as planned, in bytes. */
  readonly source?: { readonly path: string; readonly size: number };
}

/** A file for placements. */
export interface Output {
  /** Relative to the base. */
  readonly path: string;
  /** Which file it is, so that no other one is written to: st_dev and st_ino (stat(2)). */
  readonly device: bigint;
  readonly inode: bigint;
}

/** Requests placements in their order. */
export function placeRequest(
  run: number,
  job: number,
  { path, device, inode }: Output,
  placements: readonly Placement[],
  interruptible: boolean,
): Buffer[] {
  const writer = jobHead(run, job, 1 | (interruptible ? 2 : 0), placements.length);
  for (const { offset, bytes, source } of placements) {
    writer.byte(PLACE);
    writer.byte(source === undefined ? 0 : 1);
    writer.string(path);
    writer.long(device);
    writer.long(inode);
    writer.integer(offset);
    writer.bytes(bytes);
    if (source === undefined) continue;
    writer.string(source.path);
    writer.integer(source.size);
  }
  return writer.request();
}

/** Requests the extended attributes of sources; replies have kind `data` and are read by `parseXattrs`. */
export function xattrsRequest(run: number, job: number, sources: readonly string[]): Buffer[] {
  return sourcesRequest(XATTRS, run, job, sources);
}

/** Requests the data extents of sources; replies have kind `data` and are read by `parseExtents`. */
export function extentsRequest(run: number, job: number, sources: readonly string[]): Buffer[] {
  return sourcesRequest(EXTENTS, run, job, sources);
}

/** Requests the entries of directories; replies have kind `data`, several a directory, as fs/survey.ts reads them. */
export function surveyRequest(run: number, job: number, sources: readonly string[]): Buffer[] {
  return sourcesRequest(SURVEY, run, job, sources);
}

function sourcesRequest(
  operation: number,
  run: number,
  job: number,
  sources: readonly string[],
): Buffer[] {
  const writer = jobHead(run, job, 0, sources.length);
  for (const source of sources) {
    writer.byte(operation);
    writer.byte(0);
    writer.string(source);
  }
  return writer.request();
}

/** A state block to be compared with the file system; see jail/record/state-blocks.ts. */
export interface BlockCheck {
  readonly block: Buffer;
  /** Whether paths are relative to the base, rather than to the source root. */
  readonly isOfJail: boolean;
}

/**
 * Requests whether blocks still hold; the first that does not causes a reply of kind `sourceChanged`.
 *
 * @param recorded time of the jail's record, in nanoseconds since the epoch
 */
export function checkRequest(
  run: number,
  job: number,
  checks: readonly BlockCheck[],
  recorded: bigint,
): Buffer[] {
  const writer = jobHead(run, job, 0, checks.length);
  for (const { block, isOfJail } of checks) {
    writer.byte(CHECK);
    writer.byte(isOfJail ? 1 : 0);
    writer.long(recorded);
    writer.parts([block]);
  }
  return writer.request();
}

/** Ends a session with a program that serves several. */
export function endRequest(job: number): Buffer[] {
  const writer = new Writer();
  writer.byte(0x45);
  writer.number(job);
  return writer.request();
}

export function stopRequest(run: number): Buffer[] {
  const writer = new Writer();
  writer.byte(0x53);
  writer.number(run);
  return writer.request();
}

function jobHead(run: number, job: number, flags: number, count: number): Writer {
  const writer = new Writer(HEAD_SIZE + count * USUAL_SIZE);
  writer.byte(0x52);
  writer.number(run);
  writer.number(job);
  writer.byte(flags);
  writer.number(count);
  return writer;
}

function encode(writer: Writer, operation: Operation): void {
  writer.byte(NUMBER[operation.op]);
  writer.byte((flagOf(operation) ? 1 : 0) | (writesBack(operation) ? 2 : 0));
  if (operation.op === 'sync') return;
  writer.string(operation.path);
  switch (operation.op) {
    case 'copy':
      writer.string(operation.source);
      writer.integer(operation.size);
      writer.time(operation.sourceMtime);
      break;
    case 'write':
      if (Buffer.isBuffer(operation.content)) writer.bytes(operation.content);
      else writer.parts(operation.content);
      break;
    case 'node':
      writer.byte(NODE_TYPE[operation.type]);
      writer.number(operation.major);
      writer.number(operation.minor);
      break;
    case 'symlink':
      writer.string(operation.target);
      break;
    case 'link':
    case 'rename':
    case 'exchange':
    case 'replace':
      writer.string(operation.to);
      break;
  }
  if ('attributes' in operation) encodeAttributes(writer, operation.attributes);
}

function flagOf(operation: Operation): boolean {
  switch (operation.op) {
    case 'mkdir':
      return operation.mayExist ?? false;
    case 'copy':
      return operation.share ?? false;
    case 'lock':
      return operation.wait;
    default:
      return false;
  }
}

function writesBack(operation: Operation): boolean {
  return operation.op === 'copy' && (operation.writeBack ?? false);
}

function encodeAttributes(writer: Writer, { mode, owner, mtime, xattrs, like }: Attributes): void {
  writer.byte(
    (owner === undefined ? 0 : 1) | (xattrs === undefined ? 0 : 2) | (like === undefined ? 0 : 4),
  );
  writer.number(mode);
  writer.number(owner?.uid ?? 0);
  writer.number(owner?.gid ?? 0);
  writer.time(mtime);
  if (like !== undefined) writer.string(like);
  if (xattrs === undefined) return;
  const list = Object.entries(xattrs);
  writer.number(list.length);
  for (const [name, value] of list) {
    writer.string(name);
    writer.bytes(Buffer.from(value, 'base64'));
  }
}

/** Splits a byte stream into replies. */
export class ReplyReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(chunk: Buffer): Generator<Reply> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= REPLY_HEAD) {
      const end = at + REPLY_HEAD + bytes.readUInt32LE(at + 13);
      if (end > bytes.length) break;
      yield {
        job: bytes.readUInt32LE(at),
        index: bytes.readUInt32LE(at + 4),
        kind: bytes.readUInt8(at + 8),
        errno: bytes.readInt32LE(at + 9),
        data: bytes.subarray(at + REPLY_HEAD, end),
        raw: bytes.subarray(at, end),
      };
      at = end;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }
}

/** Returns the extents of a file, in order, from a reply to `extentsRequest`. */
export function parseExtents(data: Buffer): Extent[] {
  const extents: Extent[] = [];
  for (let at = 0; at + 16 <= data.length; at += 16) {
    const [start, end] = [data.readBigUInt64LE(at), data.readBigUInt64LE(at + 8)];
    extents.push({ start: Number(start), end: Number(end) });
  }
  return extents;
}

/** Returns extended attributes in the manifest's form from a reply to `xattrsRequest`. */
export function parseXattrs(data: Buffer): Record<string, string> {
  const xattrs: Record<string, string> = {};
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0, at);
    const start = end + 5;
    const length = data.readUInt32LE(end + 1);
    xattrs[data.toString('utf8', at, end)] = data.toString('base64', start, start + length);
    at = start + length;
  }
  return xattrs;
}
