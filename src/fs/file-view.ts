import { deviceNumbers } from './device-numbers.js';
import { FileReader, type OpenFile, readStart } from './file-reader.js';
import { HeldTree } from './held-tree.js';
import type { FileAttributes, Survey } from './survey.js';

export type FileType =
  | 'directory'
  | 'file'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket';

export interface FileStat extends FileAttributes {
  readonly type: FileType;
  /** Major and minor numbers of a device node. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/**
 * A read-only tree of files. Paths are absolute inside the tree and contain no links, `.` or `..` before the last
 * component.
 */
export interface FileView {
  /**
   * Returns a file's attributes without following links, or undefined if it does not exist.
   *
   * @throws system errors
   */
  lstat(path: string): FileStat | undefined;
  /** Returns the target of a symbolic link. */
  readlink(path: string): string;
  /**
   * Returns the unsorted names in a directory.
   *
   * @throws system errors
   */
  names(path: string): string[];
  /**
   * Opens a regular file.
   * @throws JailbuildError NOT_READABLE
   */
  open(path: string): OpenFile;
  /** Returns whether users other than root and the caller can change a directory's entries. Absent means false. */
  isShared?(directory: string): boolean;
  /** As `Survey.dataStart`, if the view has a survey. */
  dataStart?(path: string): number | undefined;
}

/** A directory of the real file system as a tree. */
export class DirectoryView implements FileView {
  /** What is known of files of the tree, so that they need not be inspected one by one. */
  survey: Survey | undefined;
  /** The directory's path with all links resolved and no trailing slash; '' for `/`. */
  readonly prefix: string;
  /** Performs all reads. */
  readonly tree: HeldTree;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.tree = new HeldTree(prefix);
  }

  lstat(path: string): FileStat | undefined {
    return this.surveyed(path) ?? this.#lstat(path);
  }

  /** Returns a file's attributes from the survey, if it has them. Devices are rare enough to be inspected. */
  surveyed(path: string): FileStat | undefined {
    const found = this.survey?.lstat(path);
    if (found === undefined) return undefined;
    const { format, mode, uid, gid, size, mtimeNs, identity, inode } = found;
    const type = typeOf(format);
    if (type === 'character-device' || type === 'block-device') return undefined;
    return { type, mode, uid, gid, size, mtimeNs, identity, inode };
  }

  dataStart(path: string): number | undefined {
    return this.survey?.dataStart(path);
  }

  #lstat(path: string): FileStat | undefined {
    const stats = this.tree.lstat(path);
    if (stats === undefined) return undefined;
    const isDevice = stats.isCharacterDevice() || stats.isBlockDevice();
    return {
      type: typeOf(Number(stats.mode)),
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      size: Number(stats.size),
      mtimeNs: stats.mtimeNs,
      identity: `${stats.dev}:${stats.ino}`,
      inode: Number(stats.ino),
      ctimeNs: stats.ctimeNs,
      ...(isDevice ? { device: deviceNumbers(stats.rdev) } : {}),
    };
  }

  readlink(path: string): string {
    return this.tree.readlink(path);
  }

  names(path: string): string[] {
    return this.survey?.names(path) ?? this.tree.names(path);
  }

  open(path: string): OpenFile {
    return new FileReader(this.tree, path);
  }

  /**
   * Reads the start of a file into a buffer, and returns the part that was filled.
   * @throws JailbuildError NOT_READABLE
   */
  readStart(path: string, target: Buffer): Buffer {
    return this.survey?.readStart(path, target) ?? readStart(this.tree, path, target);
  }

  isShared(directory: string): boolean {
    return this.tree.isShared(directory);
  }

  /** Returns the numbers of lstat(2) for a file found in the survey, as `Survey.numbersOf`. */
  numbersOf(path: string): readonly number[] | undefined {
    return this.survey?.numbersOf(path);
  }

  /** Returns a path in the real file system. */
  realPath(path: string): string {
    return this.prefix === '' ? path : this.prefix + path;
  }
}

function typeOf(mode: number): FileType {
  switch (mode & 0o170000) {
    case 0o040000:
      return 'directory';
    case 0o120000:
      return 'symlink';
    case 0o020000:
      return 'character-device';
    case 0o060000:
      return 'block-device';
    case 0o010000:
      return 'fifo';
    case 0o140000:
      return 'socket';
    default:
      return 'file';
  }
}
