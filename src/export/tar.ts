import { JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import type { Entry } from '../manifest/manifest.js';
import { nanoseconds } from '../manifest/timestamp.js';
import type { WorkMeter } from '../manifest/work.js';
import type { FileTree, Packing } from './file-tree.js';
import { type Part, packed } from './parts.js';

const BLOCK = 512;
const TO_BLOCK: Part = { alignment: BLOCK };
/** Two empty blocks end an archive (POSIX pax, "ustar Interchange Format"). */
const END = Buffer.alloc(2 * BLOCK);

/** Says that names in pax records are bytes, not UTF-8 (POSIX pax, "pax Extended Header"). */
const BINARY_NAMES = paxRecord('hdrcharset', Buffer.from('BINARY'));

/** One member of an archive. */
export interface TarMember {
  readonly name: string;
  readonly type: keyof typeof TYPE_FLAG;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow the header. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** The target of a symbolic link, or the member that a hard link refers to. */
  readonly linkname?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Base64 of the values, by full name. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

const TYPE_FLAG = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
  pax: 'x',
} as const;

/** Offset and length of the fields of a ustar header (POSIX pax, "ustar Header Block"). */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  chksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  devmajor: [329, 8],
  devminor: [337, 8],
} as const;

const NUMERIC_FIELDS = ['mode', 'uid', 'gid', 'size', 'mtime', 'devmajor', 'devminor'] as const;

type NumericField = (typeof NUMERIC_FIELDS)[number];

/**
 * Writes a tree as a tar archive in the pax format, in chunks. Owners are numbers, and nothing else of
 * the machine is included: equal trees give equal bytes.
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED, NOT_EXPORTABLE
 */
export function tar(tree: FileTree, meter?: WorkMeter, packing?: Packing): Generator<Buffer> {
  return packed(tree, tarParts(tree.entries), meter, packing);
}

/** Returns the parts of the archive that {@link tar} writes. */
export function* tarParts(entries: readonly Entry[]): Generator<Part> {
  for (const entry of entries) {
    yield { bytes: tarHeader(memberOf(entry)) };
    if (entry.type !== 'file' || entry.hardlink !== undefined) continue;
    yield { file: entry };
    yield TO_BLOCK;
  }
  yield { bytes: END };
}

/** Returns the padding after a member's content or after the last member. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

export const TAR_END: Buffer = END;

function memberOf(entry: Entry): TarMember {
  const { path, mode, uid, gid, mtime, xattrs } = entry;
  const common = {
    name: path.slice(1),
    mode: Number.parseInt(mode, 8),
    uid,
    gid,
    size: 0,
    mtime: nanoseconds(mtime),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
  switch (entry.type) {
    case 'directory':
      return { ...common, type: 'directory', name: `${common.name}/` };
    case 'symlink':
      return { ...common, type: 'symlink', linkname: entry.target };
    case 'file':
      return entry.hardlink === undefined
        ? { ...common, type: 'file', size: entry.size }
        : { ...common, type: 'hardlink', linkname: entry.hardlink.slice(1) };
    case 'character-device':
    case 'block-device':
      return { ...common, type: entry.type, major: entry.major, minor: entry.minor };
    case 'fifo':
      return { ...common, type: 'fifo' };
  }
}

/**
 * Returns the header of a member, preceded by a pax extended header for what a ustar header cannot
 * express: long and non-ASCII names, large numbers, fractions of seconds, extended attributes.
 *
 * @throws JailbuildError NOT_EXPORTABLE
 */
export function tarHeader(member: TarMember): Buffer {
  const records: Buffer[] = [];
  const text = (key: 'path' | 'linkpath', value: string, room: number): string => {
    if (isPlain(value, room)) return value;
    const bytes = pathBuffer(value);
    // Readers take the bytes of a header verbatim.
    if (!value.isWellFormed() && bytes.length <= room) return bytes.toString('latin1');
    if (!value.isWellFormed()) records.push(BINARY_NAMES);
    records.push(paxRecord(key, bytes));
    return '';
  };
  const number = (key: 'uid' | 'gid' | 'size', value: number): number => {
    if (value <= largest(key)) return value;
    records.push(paxRecord(key, Buffer.from(String(value))));
    return 0;
  };
  const header = {
    ...member,
    name: text('path', member.name, FIELD.name[1]),
    linkname: text('linkpath', member.linkname ?? '', FIELD.linkname[1]),
    size: number('size', member.size),
    uid: number('uid', member.uid),
    gid: number('gid', member.gid),
    mtime: Number(member.mtime / 1_000_000_000n),
  };
  if (
    member.mtime % 1_000_000_000n !== 0n ||
    member.mtime < 0n ||
    header.mtime > largest('mtime')
  ) {
    records.push(paxRecord('mtime', Buffer.from(paxTime(member.mtime))));
    header.mtime = Math.min(Math.max(0, header.mtime), largest('mtime'));
  }
  for (const [name, value] of Object.entries(member.xattrs ?? {}).sort(byName)) {
    if (name.includes('=')) {
      throw notExportable(member, `the name of its attribute ${name} has an equals sign`);
    }
    records.push(paxRecord(`SCHILY.xattr.${name}`, Buffer.from(value, 'base64')));
  }
  for (const key of ['major', 'minor'] as const) {
    if ((member[key] ?? 0) > largest('devmajor')) {
      throw notExportable(member, `its ${key} device number ${member[key]} is too large for tar`);
    }
  }
  if (records.length === 0) return ustarHeader(header);
  const extended = Buffer.concat(records);
  const pax = {
    name: 'PaxHeaders/pax',
    type: 'pax',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 0,
  } as const;
  return Buffer.concat([
    ustarHeader({ ...pax, size: extended.length }),
    extended,
    tarPadding(extended.length),
    // Readers without pax show this name.
    ustarHeader({ ...header, name: header.name === '' ? shortName(member.name) : header.name }),
  ]);
}

type UstarHeader = Omit<TarMember, 'mtime' | 'xattrs'> & { readonly mtime: number };

function ustarHeader(header: UstarHeader): Buffer {
  const block = Buffer.from(EMPTY_HEADER);
  block.write(header.name, ...FIELD.name, 'latin1');
  if (header.linkname) block.write(header.linkname, ...FIELD.linkname, 'latin1');
  block.write(TYPE_FLAG[header.type], ...FIELD.typeflag, 'latin1');
  putOctal(block, 'mode', header.mode);
  putOctal(block, 'uid', header.uid);
  putOctal(block, 'gid', header.gid);
  putOctal(block, 'size', header.size);
  putOctal(block, 'mtime', header.mtime);
  if (header.major) putOctal(block, 'devmajor', header.major);
  if (header.minor) putOctal(block, 'devminor', header.minor);
  const [links] = FIELD.linkname;
  // The rest is zeros.
  const sum =
    sumOf(block, 0, header.name.length) +
    sumOf(block, FIELD.mode[0], links + (header.linkname?.length ?? 0)) +
    sumOf(block, FIELD.magic[0], FIELD.devminor[0] + FIELD.devminor[1]);
  const [offset] = FIELD.chksum;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, offset, 'latin1');
  return block;
}

/** A header in which all numbers are 0, and the checksum is the spaces that it is computed with. */
const EMPTY_HEADER = emptyHeader();

function emptyHeader(): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write('ustar\x0000', ...FIELD.magic, 'latin1');
  for (const field of NUMERIC_FIELDS) {
    const [offset, length] = FIELD[field];
    block.fill('0', offset, offset + length - 1, 'latin1');
  }
  const [offset, length] = FIELD.chksum;
  block.fill(' ', offset, offset + length, 'latin1');
  return block;
}

/** Adds bytes up; indexed, since a callback for each would take most of the time of a header. */
function sumOf(block: Buffer, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at++) sum += block[at] as number;
  return sum;
}

/** Writes the last digits into a field of zeros: a quarter of the time of making a string of them. */
function putOctal(block: Buffer, field: NumericField, value: number): void {
  const [offset, length] = FIELD[field];
  for (let at = offset + length - 2, left = value; left > 0; at--) {
    block[at] = 0x30 + (left % 8);
    left = Math.floor(left / 8);
  }
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits (POSIX pax, "pax Extended Header"). */
export function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.byteLength(key) + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length++;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}

function isPlain(text: string, room: number): boolean {
  return text.length <= room && /^[\x20-\x7e]*$/.test(text);
}

function shortName(name: string): string {
  return pathBuffer(name).subarray(0, FIELD.name[1]).toString('latin1');
}

function largest(field: NumericField): number {
  return 8 ** (FIELD[field][1] - 1) - 1;
}

/** Decimal seconds; a fraction without zeros at its end. */
function paxTime(ns: bigint): string {
  const absolute = ns < 0n ? -ns : ns;
  const fraction = String(absolute % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const sign = ns < 0n ? '-' : '';
  return `${sign}${absolute / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

function notExportable({ name }: TarMember, why: string): JailbuildError {
  return new JailbuildError('NOT_EXPORTABLE', `/${name}: ${why}`, `/${name}`);
}
