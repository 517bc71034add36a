import { lstatSync, type Stats } from 'node:fs';
import { fromBytes, listNames, pathBuffer, readLink, toBytes } from '../../fs/path-bytes.js';
import { TIME_TOLERANCE } from '../../manifest/differences.js';

/**
 * What a build looked at, in a form that native/engine/check.c can also compare without parsing. A block is its type
 * and the number of its items, four bytes each; eight numbers for each file, as doubles; and NUL-terminated strings.
 * All little-endian. Paths are relative to a root.
 */
export type StateBlock = Buffer;

enum BlockType {
  /** mode, uid, gid, mtime, size, ctime, device, inode; for directories only the first four are compared. */
  hostFiles = 1,
  directories,
  absent,
  /** A directory, its names in byte order, an empty string. */
  lists,
  /** mode, uid, gid, mtime, size, flags; the path is followed by the link's target or the first hard link's path. */
  jailEntries,
  /** As `hostFiles`, with all numbers of directories. */
  stamps,
}

/** Blocks with numbers. */
const WITH_ROWS: ReadonlySet<BlockType> = new Set([
  BlockType.hostFiles,
  BlockType.jailEntries,
  BlockType.stamps,
]);

/** Flags of an entry of the jail. */
const ANY_OWNER = 1;
const HARD_LINK = 2;

const ROW = 8;
const FLAGS = 5;
/** Place of the time of the last change among the numbers of a file. */
export const CHANGED = 5;
const HEAD = 8;
/** Maximum number of items a block, so that blocks can be compared in parallel. */
const MOST = 512;
/** The difference from which two times are not the same, in milliseconds. */
const TOLERANCE = Number(TIME_TOLERANCE) / 1e6;
const FORMAT = 0o170000;
const [DIRECTORY, REGULAR, FIFO, LINK] = [0o040000, 0o100000, 0o010000, 0o120000];

/** A file and the numbers of lstat(2) for it, as {@link numbersOf}. */
export interface SeenFile {
  readonly path: string;
  readonly numbers: readonly number[];
}

/** A planned entry of a jail. */
export interface PlannedFile {
  readonly path: string;
  /** Including the type, as st_mode. */
  readonly mode: number;
  /** Undefined if not compared. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** Milliseconds since the epoch. */
  readonly mtime: number;
  readonly size: number;
  /** Target of a symbolic link. */
  readonly target?: string | undefined;
  /** First path of a hard-linked file. */
  readonly hardlink?: string | undefined;
}

/** Yields blocks that list files of the host. Consumes its input one by one. */
export function fileBlocks(files: Iterable<SeenFile>): Generator<StateBlock> {
  return seenBlocks(BlockType.hostFiles, files);
}

/** Returns blocks that list directories of which any change counts, also of their entries. */
export function stampBlocks(directories: readonly SeenFile[]): StateBlock[] {
  return [...seenBlocks(BlockType.stamps, directories)];
}

function seenBlocks(type: BlockType, files: Iterable<SeenFile>): Generator<StateBlock> {
  return blocksOf(type, files, (block, { path, numbers }) => {
    block.row(numbers);
    block.string(relative(path));
  });
}

/** Returns blocks that list paths which must be directories. */
export function directoryBlocks(paths: readonly string[]): StateBlock[] {
  return pathBlocks(BlockType.directories, paths);
}

/** Returns blocks that list paths which must not exist. */
export function absentBlocks(paths: readonly string[]): StateBlock[] {
  return pathBlocks(BlockType.absent, paths);
}

/** Returns blocks that list the names in directories. */
export function listBlocks(lists: ReadonlyMap<string, readonly string[]>): StateBlock[] {
  const blocks = blocksOf(BlockType.lists, lists, (block, [path, names]) => {
    block.string(relative(path));
    for (const name of byBytes(names)) block.string(name);
    block.string('');
  });
  return [...blocks];
}

/** Yields blocks that list the planned entries of a jail. Consumes its input one by one. */
export function entryBlocks(entries: Iterable<PlannedFile>): Generator<StateBlock> {
  return blocksOf(BlockType.jailEntries, entries, (block, entry) => {
    const { path, mode, owner, mtime, size, target, hardlink } = entry;
    const flags = (owner === undefined ? ANY_OWNER : 0) | (hardlink === undefined ? 0 : HARD_LINK);
    block.row([mode, owner?.uid ?? 0, owner?.gid ?? 0, mtime, size, flags, 0, 0]);
    block.string(relative(path));
    if (target !== undefined) block.string(target);
    if (hardlink !== undefined) block.string(relative(hardlink));
  });
}

/** Yields the paths of a jail's entries and their types as in st_mode. */
export function* entriesOf(
  blocks: readonly StateBlock[],
): Generator<{ readonly path: string; readonly type: number }> {
  for (const bytes of blocks) {
    const reader = new BlockReader(bytes);
    for (let index = 0; index < reader.count; index++) {
      const [path, type] = [`/${reader.string()}`, reader.number(index, 0) & FORMAT];
      if (type === LINK || (reader.number(index, FLAGS) & HARD_LINK) !== 0) reader.string();
      yield { path: path === '/' ? '/' : path, type };
    }
  }
}

/** Paths of a host's state: files found, absent paths, and listed directories. */
export interface StatePaths {
  readonly found: readonly string[];
  readonly absent: readonly string[];
  readonly listed: readonly string[];
}

/** Returns the paths in blocks of a host. */
export function pathsIn(blocks: readonly StateBlock[]): StatePaths {
  const found: string[] = [];
  const absent: string[] = [];
  const listed: string[] = [];
  for (const bytes of blocks) {
    const reader = new BlockReader(bytes);
    for (let index = 0; index < reader.count; index++) {
      const path = `/${reader.string()}`;
      if (reader.type === BlockType.hostFiles) found.push(path);
      if (reader.type === BlockType.absent) absent.push(path);
      if (reader.type === BlockType.stamps) listed.push(path);
      if (reader.type !== BlockType.lists) continue;
      listed.push(path);
      while (reader.string() !== '');
    }
  }
  return { found, absent, listed };
}

/**
 * Returns whether the file system matches everything that a block lists.
 *
 * @param root the real path that the paths are relative to, '' for `/`
 * @param recorded time of the jail's record, in milliseconds since the epoch
 * @throws system errors for paths that cannot be inspected
 */
export function blockHolds(bytes: StateBlock, root: string, recorded = 0): boolean {
  const reader = new BlockReader(bytes);
  const real = (path: string) => (path === '' ? root || '/' : `${root}/${path}`);
  for (let index = 0; index < reader.count; index++) {
    const path = real(reader.string());
    switch (reader.type) {
      case BlockType.hostFiles:
      case BlockType.stamps:
        if (!isSameFile(look(path), reader, index)) return false;
        break;
      case BlockType.directories:
        if (!look(path)?.isDirectory()) return false;
        break;
      case BlockType.absent:
        if (look(path) !== undefined) return false;
        break;
      case BlockType.lists: {
        const names: string[] = [];
        for (let name = reader.string(); name !== ''; name = reader.string()) names.push(name);
        const now = byBytes(listNames(path));
        if (now.length !== names.length || now.some((name, at) => name !== names[at])) return false;
        break;
      }
      case BlockType.jailEntries:
        if (!isEntry(path, reader, index, real, recorded)) return false;
    }
  }
  return true;
}

function isSameFile(now: Stats | undefined, reader: BlockReader, index: number): boolean {
  if (now === undefined) return false;
  const row = numbersOf(now);
  const counts = reader.type === BlockType.hostFiles && now.isDirectory() ? 4 : ROW;
  for (let at = 0; at < counts; at++) if (row[at] !== reader.number(index, at)) return false;
  return true;
}

function isEntry(
  path: string,
  reader: BlockReader,
  index: number,
  real: (path: string) => string,
  recorded: number,
): boolean {
  const [mode = 0, uid, gid, mtime = 0, size, flags = 0] = reader.row(index);
  const type = mode & FORMAT;
  const further = type === LINK || (flags & HARD_LINK) !== 0 ? reader.string() : undefined;
  const now = look(path);
  if (now === undefined || (now.mode & FORMAT) !== type) return false;
  if ((flags & ANY_OWNER) === 0 && (now.uid !== uid || now.gid !== gid)) return false;
  const isSameTime = Math.abs(now.mtimeMs - mtime) < TOLERANCE;
  if (type === LINK) return isSameTime && readLink(path) === further;
  if (now.mode !== mode) return false;
  if (type === DIRECTORY) return true;
  if (!isSameTime) return false;
  if (type !== REGULAR) return type === FIFO;
  if (now.size !== size || now.ctimeMs > recorded) return false;
  const other = further === undefined ? now : look(real(further));
  return other !== undefined && other.ino === now.ino && other.dev === now.dev;
}

/** Returns undefined if nothing exists at the path. */
function look(realPath: string): Stats | undefined {
  return lstatSync(toBytes(realPath), { throwIfNoEntry: false });
}

/** Returns what is stored of a file of the host. */
export function numbersOf({ mode, uid, gid, mtimeMs, size, ctimeMs, dev, ino }: Stats): number[] {
  return [mode, uid, gid, mtimeMs, size, ctimeMs, dev, ino];
}

function relative(path: string): string {
  return path.slice(1);
}

/** Sorts strings in byte order, as C compares them. */
function byBytes(names: readonly string[]): string[] {
  const isPlain = names.every((name) => /^[\x20-\x7e]*$/.test(name));
  if (isPlain) return [...names].sort();
  return [...names].sort((a, b) => Buffer.compare(pathBuffer(a), pathBuffer(b)));
}

function* blocksOf<T>(
  type: BlockType,
  items: Iterable<T>,
  add: (block: BlockWriter, item: T) => void,
): Generator<StateBlock> {
  const block = new BlockWriter(type);
  let count = 0;
  for (const item of items) {
    add(block, item);
    if (++count < MOST) continue;
    yield block.take(count);
    count = 0;
  }
  if (count > 0) yield block.take(count);
}

function pathBlocks(type: BlockType, paths: readonly string[]): StateBlock[] {
  return [...blocksOf(type, paths, (block, path) => block.string(relative(path)))];
}

/** Makes one block after the other. Keeps nothing of an item but its bytes, which saves the collection of garbage. */
class BlockWriter {
  readonly #type: BlockType;
  /** The head and the rows. */
  readonly #rows = Buffer.allocUnsafeSlow(HEAD + MOST * ROW * 8);
  #end = HEAD;
  #strings = '';

  constructor(type: BlockType) {
    this.#type = type;
  }

  /** Adds the numbers of an item. */
  row(numbers: readonly number[]): void {
    for (const value of numbers) this.#end = this.#rows.writeDoubleLE(value, this.#end);
  }

  string(string: string): void {
    this.#strings += `${string}\0`;
  }

  /** Returns the block, and begins the next one. */
  take(count: number): StateBlock {
    this.#rows.writeUInt32LE(this.#type, 0);
    this.#rows.writeUInt32LE(count, 4);
    const bytes = Buffer.concat([this.#rows.subarray(0, this.#end), pathBuffer(this.#strings)]);
    this.#end = HEAD;
    this.#strings = '';
    return bytes;
  }
}

class BlockReader {
  readonly type: BlockType;
  readonly count: number;
  readonly #bytes: Buffer;
  readonly #strings: readonly string[];
  #next = 0;

  constructor(bytes: Buffer) {
    this.type = bytes.readUInt32LE(0);
    this.count = bytes.readUInt32LE(4);
    this.#bytes = bytes;
    const hasRows = WITH_ROWS.has(this.type);
    const start = HEAD + (hasRows ? this.count * ROW * 8 : 0);
    this.#strings = fromBytes(bytes.subarray(start)).split('\0');
  }

  string(): string {
    return this.#strings[this.#next++] ?? '';
  }

  number(index: number, at: number): number {
    return this.#bytes.readDoubleLE(HEAD + (index * ROW + at) * 8);
  }

  row(index: number): number[] {
    return Array.from({ length: ROW }, (_, at) => this.number(index, at));
  }
}
