import { JailbuildError } from '../errors.js';
import { fromBytes } from '../fs/path-bytes.js';
import type { ByteReader } from './byte-reader.js';

const BLOCK = 512;
/** Maximum size of names, links and attributes of one member, in bytes: far more than file systems allow. */
const MAX_EXTENSION = 1 << 20;

export type TarType =
  | 'file'
  | 'hardlink'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'directory'
  | 'fifo';

/** The header of a member. Names are strings as in path-bytes.ts, which can represent any bytes. */
export interface TarHeader {
  readonly name: string;
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly linkname: string;
  readonly major: number;
  readonly minor: number;
  /** Values in base64, by full name. */
  readonly xattrs: Readonly<Record<string, string>>;
}

const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
};

/**
 * Reads the members of a tar archive: ustar, pax and GNU long names. Skips content that the caller does not read. Names
 * and values are kept as bytes; maintained tar libraries decode pax names and attribute values as UTF-8.
 *
 * @param where names the archive in messages
 * @throws JailbuildError IMAGE_INVALID
 */
export async function* readTar(
  reader: ByteReader,
  where: string,
): AsyncGenerator<{ readonly header: TarHeader; readonly content: () => AsyncGenerator<Buffer> }> {
  let extended = new Map<string, Buffer>();
  for (;;) {
    const block = await reader.take(BLOCK);
    if (block.length === 0) return;
    if (block.length < BLOCK) throw invalid(where, 'is truncated');
    if (block.every((byte) => byte === 0)) {
      // Anything after the end marker is meaningless, but is part of the stream's digest.
      while ((await reader.skip(1 << 20)) > 0);
      return;
    }
    checkSum(block, where);
    const flag = String.fromCharCode(block[156] ?? 0);
    const size = sizeOf(block, extended, flag, where);
    if ('xgLK'.includes(flag)) {
      if (size > MAX_EXTENSION) throw invalid(where, `has an extended header of ${size} bytes`);
      const body = await exactly(reader, size, where);
      await exactly(reader, padding(size), where);
      if (flag === 'x') extended = new Map([...extended, ...paxRecords(body, where)]);
      if (flag === 'L') extended.set('path', untilZero(body));
      if (flag === 'K') extended.set('linkpath', untilZero(body));
      continue;
    }
    const type = TYPES[flag];
    if (type === undefined || [...extended.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
      const kind = type === undefined ? `of type ${JSON.stringify(flag)}` : 'that is sparse';
      throw invalid(where, `has a member ${kind}, which is not supported`);
    }
    const header = headerOf(block, type, size, extended, where);
    extended = new Map();
    const end = reader.offset + (type === 'file' ? size : 0);
    yield {
      header,
      content: async function* () {
        for await (const part of reader.chunks(end - reader.offset)) yield part;
        if (reader.offset < end) throw invalid(where, 'is truncated');
      },
    };
    const rest = end - reader.offset;
    if ((await reader.skip(rest)) < rest) throw invalid(where, 'is truncated');
    await exactly(reader, padding(type === 'file' ? size : 0), where);
  }
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

async function exactly(reader: ByteReader, count: number, where: string): Promise<Buffer> {
  const bytes = await reader.take(count);
  if (bytes.length < count) throw invalid(where, 'is truncated');
  return bytes;
}

/**
 * Verifies the checksum: the sum of all bytes, with blanks in place of the sum (POSIX pax, "ustar Interchange Format").
 */
function checkSum(block: Buffer, where: string): void {
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 32 : (block[at] ?? 0);
  if (sum !== numberAt(block, 148, 8)) throw invalid(where, 'is not a tar archive, or is damaged');
}

function headerOf(
  block: Buffer,
  type: TarType,
  size: number,
  extended: ReadonlyMap<string, Buffer>,
  where: string,
): TarHeader {
  const magic = block.toString('latin1', 257, 263);
  const prefix = magic === 'ustar\0' ? untilZero(block.subarray(345, 500)) : Buffer.alloc(0);
  const short = untilZero(block.subarray(0, 100));
  const joined = prefix.length === 0 ? short : Buffer.concat([prefix, Buffer.from('/'), short]);
  const name = extended.get('path') ?? joined;
  const linkname = extended.get('linkpath') ?? untilZero(block.subarray(157, 257));
  if (name.includes(0) || linkname.includes(0)) throw invalid(where, 'has a name with a zero byte');
  const xattrs = [...extended].flatMap(([key, value]) =>
    key.startsWith('SCHILY.xattr.') ? [[key.slice(13), value.toString('base64')] as const] : [],
  );
  const number = (key: string, offset: number, length: number) => {
    const value = extended.get(key);
    const given = value === undefined ? numberAt(block, offset, length) : Number(value.toString());
    if (Number.isFinite(given)) return given;
    throw invalid(where, `has a member whose ${key} is not a number`);
  };
  return {
    name: fromBytes(name),
    type,
    mode: numberAt(block, 100, 8) & 0o7777,
    uid: owner(number('uid', 108, 8)),
    gid: owner(number('gid', 116, 8)),
    size,
    mtime: number('mtime', 136, 12),
    linkname: fromBytes(linkname),
    major: numberAt(block, 329, 8),
    minor: numberAt(block, 337, 8),
    xattrs: Object.fromEntries(xattrs),
  };
}

function owner(id: number): number {
  return Number.isInteger(id) && id >= 0 && id < 2 ** 32 ? id : 0;
}

function sizeOf(
  block: Buffer,
  extended: ReadonlyMap<string, Buffer>,
  flag: string,
  where: string,
): number {
  const given = 'xgLK'.includes(flag) ? undefined : extended.get('size');
  const size = given === undefined ? numberAt(block, 124, 12) : Number(given.toString());
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw invalid(where, 'has a member of no valid size');
}

/** Parses octal digits, or base 256 if the first bit is set (GNU tar, "Extensions"). */
function numberAt(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) === 0) {
    const text = block.toString('latin1', offset, offset + length).replace(/[\0 ]+/g, ' ');
    const digits = text.trim();
    return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  }
  let value = first & 0x40 ? BigInt(first) - 256n : BigInt(first & 0x7f);
  for (let at = offset + 1; at < offset + length; at++) {
    value = value * 256n + BigInt(block[at] ?? 0);
  }
  return Number(value);
}

/** Parses consecutive `LENGTH KEY=VALUE\n` records (POSIX pax, "pax Extended Header"). */
function paxRecords(body: Buffer, where: string): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(0x20, at);
    const length = Number(body.toString('latin1', at, Math.max(at, blank)));
    const equals = body.indexOf(0x3d, blank);
    const end = at + length;
    if (
      blank < 0 ||
      !Number.isInteger(length) ||
      end > body.length ||
      equals < 0 ||
      equals >= end
    ) {
      throw invalid(where, 'has a malformed pax header');
    }
    records.set(fromBytes(body.subarray(blank + 1, equals)), body.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function untilZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function invalid(where: string, why: string): JailbuildError {
  return new JailbuildError('IMAGE_INVALID', `${where}: ${why}`, where);
}
