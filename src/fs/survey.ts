import { baseName } from '../text/base-name.js';
import { fromBytes } from './path-bytes.js';

/** Offsets of the numbers of an entry in a listing; native/engine/survey.c writes them. */
const MODE = 0;
const UID = 4;
const GID = 8;
const START = 12;
const SIZE = 16;
const MTIME = 24;
const CTIME = 32;
const MTIME_NS = 40;
const CTIME_NS = 44;
const DEVICE = 48;
const INODE = 56;
const STARTED = 64;
const ROW = 68;
/** Number of entries, before their rows. */
const HEAD = 4;
/** Stands in place of the number of first bytes of a file that could not be read. */
const NOT_READ = 255;
const FORMAT = 0o170000;
const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
const EXECUTABLE = 0o111;

/** Attributes of a file of any type. */
export interface FileAttributes {
  /** Permission bits with set-uid, set-gid and sticky: `mode & 0o7777`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  /** Device and inode: equal for hard links to the same file. */
  readonly identity: string;
  /** The inode, as exactly as a number can hold it; undefined for what is not a file of a file system. */
  readonly inode?: number;
  /** Time of the last change of content or attributes, as `mtimeNs`; undefined unless lstat(2) was called for this file. */
  readonly ctimeNs?: bigint;
}

/** The attributes of a file as lstat(2) returned them. */
export interface SurveyedFile extends FileAttributes {
  /** The type, as in st_mode: `mode & 0o170000`. */
  readonly format: number;
  readonly inode: number;
}

/** Directories whose entries were listed at once with their attributes, which is faster than one by one. */
export class Survey {
  readonly #directories = new Map<string, Listing>();
  #size = 0;

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds a directory.
   *
   * @param path the path inside the root, without links on the way
   * @param pieces its entries
   * @returns the paths of the directories in it
   */
  add(path: string, pieces: readonly Buffer[]): string[] {
    const listing = new Listing(pieces, this.#size);
    this.#directories.set(path, listing);
    this.#size += listing.names.length;
    return listing.directories().map((name) => (path === '/' ? `/${name}` : `${path}/${name}`));
  }

  /** Returns the number of an entry, less than `size`; undefined for one that is not part of the survey. */
  numberOf(path: string): number | undefined {
    return this.#listingOf(path)?.numberOf(baseName(path));
  }

  /** Yields the paths of all entries with their numbers. */
  *entries(): Generator<readonly [path: string, number: number]> {
    for (const [directory, { names, first }] of this.#directories) {
      const prefix = directory === '/' ? '/' : `${directory}/`;
      for (const [index, name] of names.entries()) yield [prefix + name, first + index];
    }
  }

  /** Returns the sorted names in a directory, or undefined if it is not part of the survey. */
  names(directory: string): string[] | undefined {
    return this.#directories.get(directory)?.names;
  }

  /** Returns a file's attributes; undefined for one that is not part of the survey. */
  lstat(path: string): SurveyedFile | undefined {
    return this.#listingOf(path)?.lstat(baseName(path));
  }

  /**
   * Returns the first four bytes of a regular file that nobody may execute, as a little-endian number; undefined for any
   * other file, and for what was not read.
   */
  dataStart(path: string): number | undefined {
    return this.#listingOf(path)?.dataStart(baseName(path));
  }

  /** Fills a buffer of at most four bytes from the start of a file; undefined for what was not read. */
  readStart(path: string, target: Buffer): Buffer | undefined {
    return this.#listingOf(path)?.readStart(baseName(path), target);
  }

  /**
   * Returns mode, uid, gid, mtime, size, ctime, device and inode as numbers of Node's `Stats`; undefined for a
   * file that is not part of the survey.
   */
  numbersOf(path: string): readonly number[] | undefined {
    return this.#listingOf(path)?.numbersOf(baseName(path));
  }

  #listingOf(path: string): Listing | undefined {
    return this.#directories.get(path.slice(0, path.lastIndexOf('/')) || '/');
  }
}

/** Paths of entries of a survey: a set that takes a byte for each entry, where one of paths would take forty. */
export class SurveyedPaths implements Iterable<string> {
  readonly #survey: Survey;
  readonly #marks: Uint8Array;

  constructor(survey: Survey) {
    this.#survey = survey;
    this.#marks = new Uint8Array(survey.size);
  }

  /** Ignores a path that is not part of the survey. */
  add(path: string): void {
    const number = this.#survey.numberOf(path);
    if (number !== undefined) this.#marks[number] = 1;
  }

  has(path: string): boolean {
    const number = this.#survey.numberOf(path);
    return number !== undefined && this.#marks[number] === 1;
  }

  clear(): void {
    this.#marks.fill(0);
  }

  *[Symbol.iterator](): Generator<string> {
    for (const [path, number] of this.#survey.entries()) if (this.#marks[number] === 1) yield path;
  }
}

/** The entries of one directory. */
class Listing {
  readonly names: string[];
  /** Number of its first entry in the survey. */
  readonly first: number;
  /** In the order of the names. */
  readonly #rows: Buffer;
  /** Look-ups go through a directory in order. */
  #next = 0;

  constructor(pieces: readonly Buffer[], first: number) {
    this.first = first;
    const found = pieces.flatMap((bytes) => {
      const count = bytes.readUInt32LE(0);
      const names = fromBytes(bytes.subarray(HEAD + count * ROW)).split('\0');
      return names.slice(0, count).map((name, index) => ({ name, bytes, at: HEAD + index * ROW }));
    });
    found.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.names = found.map(({ name }) => name);
    this.#rows = Buffer.allocUnsafeSlow(found.length * ROW);
    for (const [index, { bytes, at }] of found.entries()) {
      bytes.copy(this.#rows, index * ROW, at, at + ROW);
    }
  }

  directories(): string[] {
    return this.names.filter((_, index) => {
      return (this.#rows.readUInt32LE(index * ROW + MODE) & FORMAT) === DIRECTORY;
    });
  }

  numberOf(name: string): number | undefined {
    const at = this.#find(name);
    return at === undefined ? undefined : this.first + at / ROW;
  }

  lstat(name: string): SurveyedFile | undefined {
    const at = this.#find(name);
    if (at === undefined) return undefined;
    const rows = this.#rows;
    const nanoseconds = BigInt(rows.readUInt32LE(at + MTIME_NS));
    return {
      format: rows.readUInt32LE(at + MODE) & FORMAT,
      mode: rows.readUInt32LE(at + MODE) & ~FORMAT,
      uid: rows.readUInt32LE(at + UID),
      gid: rows.readUInt32LE(at + GID),
      size: integer(rows, at + SIZE),
      mtimeNs: rows.readBigInt64LE(at + MTIME) * 1_000_000_000n + nanoseconds,
      identity: `${exact(rows, at + DEVICE)}:${exact(rows, at + INODE)}`,
      inode: integer(rows, at + INODE),
    };
  }

  dataStart(name: string): number | undefined {
    const at = this.#find(name);
    if (at === undefined || this.#rows.readUInt32LE(at + STARTED) === NOT_READ) return undefined;
    const mode = this.#rows.readUInt32LE(at + MODE);
    const isData = (mode & FORMAT) === REGULAR && (mode & EXECUTABLE) === 0;
    return isData ? this.#rows.readUInt32LE(at + START) : undefined;
  }

  readStart(name: string, target: Buffer): Buffer | undefined {
    const at = this.#find(name);
    if (at === undefined || target.length > SIZE - START) return undefined;
    const count = this.#rows.readUInt32LE(at + STARTED);
    if (count === NOT_READ) return undefined;
    return target.subarray(0, this.#rows.copy(target, 0, at + START, at + START + count));
  }

  numbersOf(name: string): readonly number[] | undefined {
    const at = this.#find(name);
    if (at === undefined) return undefined;
    const rows = this.#rows;
    return [
      rows.readUInt32LE(at + MODE),
      rows.readUInt32LE(at + UID),
      rows.readUInt32LE(at + GID),
      milliseconds(rows, at + MTIME, at + MTIME_NS),
      integer(rows, at + SIZE),
      milliseconds(rows, at + CTIME, at + CTIME_NS),
      natural(rows, at + DEVICE),
      natural(rows, at + INODE),
    ];
  }

  /** Returns the offset of a row. */
  #find(name: string): number | undefined {
    for (const index of [this.#next, this.#next - 1]) {
      if (this.names[index] === name) return this.#at(index);
    }
    let [low, high] = [0, this.names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.names[middle] ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return this.names[low] === name ? this.#at(low) : undefined;
  }

  #at(index: number): number {
    this.#next = index + 1;
    return index * ROW;
  }
}

/** Returns eight bytes as a number, as exactly as it can hold them. */
function integer(rows: Buffer, at: number): number {
  const high = rows.readInt32LE(at + 4);
  // As a sum with a product, V8 would store each small number as an object.
  return high === 0 ? rows.readUInt32LE(at) : high * 2 ** 32 + rows.readUInt32LE(at);
}

/** As `integer`, without a sign. */
function natural(rows: Buffer, at: number): number {
  return rows.readUInt32LE(at + 4) * 2 ** 32 + rows.readUInt32LE(at);
}

/** Returns eight bytes exactly; Node's big integers of lstat(2) have a sign. */
function exact(rows: Buffer, at: number): number | bigint {
  const value = integer(rows, at);
  return Number.isSafeInteger(value) ? value : rows.readBigInt64LE(at);
}

/** Returns a time as Node calculates it, bit for bit. */
function milliseconds(rows: Buffer, seconds: number, nanoseconds: number): number {
  return integer(rows, seconds) * 1000 + rows.readUInt32LE(nanoseconds) / 1_000_000;
}
