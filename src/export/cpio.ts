import { JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import type { Entry, FileEntry } from '../manifest/manifest.js';
import { nanoseconds } from '../manifest/timestamp.js';
import type { WorkMeter } from '../manifest/work.js';
import type { FileTree, Packing } from './file-tree.js';
import { type Part, packed } from './parts.js';

/** Headers, names and content begin at multiples of this (Linux, early-userspace/buffer-format). */
const ALIGNMENT = 4;
/** cpio(1) writes blocks of this size, with zeros after the trailer. */
const BLOCK = 512;
const MAX_FIELD = 0xffff_ffff;
const TRAILER = 'TRAILER!!!';

/** The type bits of st_mode (inode(7)). */
const TYPE_BITS = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
  'block-device': 0o060000,
  fifo: 0o010000,
} as const;

interface Header {
  readonly name: string;
  readonly inode: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly seconds: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
}

/**
 * Writes a tree as a cpio archive in the "newc" format, which the kernel unpacks as an initramfs. Inode
 * numbers count up from 1 in the order of the entries, so that equal trees give equal bytes. The
 * content of a file with several names follows the last of them, as in cpio(1).
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED, NOT_EXPORTABLE
 */
export function cpio(tree: FileTree, meter?: WorkMeter, packing?: Packing): Generator<Buffer> {
  return packed(tree, cpioParts(tree.entries), meter, packing);
}

/** Returns the parts of the archive that {@link cpio} writes. */
export function* cpioParts(entries: readonly Entry[]): Generator<Part> {
  const groups = linkGroups(entries);
  let nextInode = 1;
  for (const entry of entries) {
    const group = groups.get(entry.path);
    if (group !== undefined) group.inode ??= nextInode++;
    const inode = group?.inode ?? nextInode++;
    const carries = entry.type === 'file' && (group === undefined || group.last === entry.path);
    const header = headerOf(entry, inode, group?.names ?? 1);
    const target = entry.type === 'symlink' ? pathBuffer(entry.target) : undefined;
    const size = target?.length ?? (carries ? entry.size : 0);
    yield* headerParts({ ...header, size });
    if (target !== undefined) yield { bytes: target };
    if (carries) yield { file: group?.first ?? entry };
    yield { alignment: ALIGNMENT };
  }
  yield* headerParts({ ...EMPTY, name: TRAILER, links: 1 });
  yield { alignment: BLOCK };
}

const EMPTY: Header = {
  name: '',
  inode: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  links: 0,
  seconds: 0,
  size: 0,
  major: 0,
  minor: 0,
};

/** The names of one file. */
interface LinkGroup {
  /** The entry that carries the content. */
  readonly first: FileEntry;
  names: number;
  last: string;
  inode: number | undefined;
}

function linkGroups(entries: readonly Entry[]): Map<string, LinkGroup> {
  const files = new Map<string, FileEntry>();
  const groups = new Map<string, LinkGroup>();
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    files.set(entry.path, entry);
    const first = entry.hardlink === undefined ? undefined : files.get(entry.hardlink);
    if (first === undefined) continue;
    const group = groups.get(first.path) ?? { first, names: 1, last: '', inode: undefined };
    group.names++;
    group.last = entry.path;
    groups.set(first.path, group);
    groups.set(entry.path, group);
  }
  return groups;
}

function headerOf(entry: Entry, inode: number, names: number): Header {
  const { path, uid, gid } = entry;
  const device = 'major' in entry ? { major: entry.major, minor: entry.minor } : {};
  if (entry.type === 'file' && entry.size > MAX_FIELD) {
    throw new JailbuildError(
      'NOT_EXPORTABLE',
      `${path}: exceeds the cpio limit of 4 GiB: export as tar`,
      path,
    );
  }
  const seconds = Number(nanoseconds(entry.mtime) / 1_000_000_000n);
  return {
    ...EMPTY,
    name: path.slice(1),
    inode,
    mode: TYPE_BITS[entry.type] | Number.parseInt(entry.mode, 8),
    uid,
    gid,
    links: entry.type === 'directory' ? 2 : names,
    seconds: Math.min(Math.max(0, seconds), MAX_FIELD),
    ...device,
  };
}

function* headerParts(header: Header): Generator<Part> {
  const name = pathBuffer(`${header.name}\0`);
  const fields = [
    header.inode,
    header.mode,
    header.uid,
    header.gid,
    header.links,
    header.seconds,
    header.size,
    // The device that the file was on: always none.
    0,
    0,
    header.major,
    header.minor,
    name.length,
    // Only the "crc" format has checksums.
    0,
  ];
  const hex = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  yield { bytes: Buffer.from(`070701${hex}`) };
  yield { bytes: name };
  yield { alignment: ALIGNMENT };
}
