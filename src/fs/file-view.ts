import { deviceNumbers } from './device-numbers.js';
import { FileReader, type OpenFile } from './file-reader.js';
import { HeldTree } from './held-tree.js';

export type FileType =
  | 'directory'
  | 'file'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket';

export interface FileStat {
  readonly type: FileType;
  /** Permission bits with set-uid, set-gid and sticky: `mode & 0o7777`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  /** Device and inode: equal for two names of one file. */
  readonly identity: string;
  /** The numbers of a device node. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/**
 * A tree of files, asked name by name. Paths are absolute inside the tree, and have no links, `.` or
 * `..` on the way.
 */
export interface FileView {
  /**
   * A file's own attributes; undefined if it is not there.
   * @throws the system's errors
   */
  lstat(path: string): FileStat | undefined;
  /** The text of a symbolic link. */
  readlink(path: string): string;
  /**
   * The names in a directory, in no order.
   * @throws the system's errors
   */
  names(path: string): string[];
  /**
   * Opens a regular file.
   * @throws JailbuildError NOT_READABLE
   */
  open(path: string): OpenFile;
  /** Whether others than root and the caller can change what is in a directory; false without it. */
  isShared?(directory: string): boolean;
}

/** A directory of the real file system as a tree. */
export class DirectoryView implements FileView {
  /** The directory's path, without links, and without a slash at its end; '' for `/`. */
  readonly prefix: string;
  /** By which all is read. */
  readonly tree: HeldTree;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.tree = new HeldTree(prefix);
  }

  lstat(path: string): FileStat | undefined {
    const stats = this.tree.lstat(path);
    if (stats === undefined) return undefined;
    const isDevice = stats.isCharacterDevice() || stats.isBlockDevice();
    return {
      type: typeOf(stats.mode),
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      size: Number(stats.size),
      mtimeNs: stats.mtimeNs,
      identity: `${stats.dev}:${stats.ino}`,
      ...(isDevice ? { device: deviceNumbers(stats.rdev) } : {}),
    };
  }

  readlink(path: string): string {
    return this.tree.readlink(path);
  }

  names(path: string): string[] {
    return this.tree.names(path);
  }

  open(path: string): OpenFile {
    return new FileReader(this.tree, path);
  }

  isShared(directory: string): boolean {
    return this.tree.isShared(directory);
  }

  /** The path in the real file system. */
  realPath(path: string): string {
    return this.prefix === '' ? path : this.prefix + path;
  }
}

function typeOf(mode: bigint): FileType {
  switch (Number(mode & 0o170000n)) {
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
