import { errnoOf, JailbuildError } from '../errors.js';
import type { OpenFile } from './file-reader.js';
import type { FileStat, FileView } from './file-view.js';
import { NameTree } from './name-tree.js';
import type { Sysroot } from './sysroot.js';

/** A file that hides the one at its path in the tree below. */
export interface PlacedFile {
  readonly stat: FileStat;
  /** The target of a symbolic link. */
  readonly target?: string | undefined;
  /** Returns whether others can change the entries of the directory that this is a copy of. */
  isShared?(): boolean;
  /** Opens its content; absent unless it is a regular file. */
  open?(): OpenFile;
}

/** Attributes of directories that only placed files imply. */
const IMPLIED: Omit<FileStat, 'identity'> = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
};

/** A tree with further files placed over it, as a jail will be; look-ups find both. */
export class OverlayView implements FileView {
  readonly #below: Sysroot;
  readonly #placed = new Map<string, PlacedFile>();
  readonly #names = new NameTree();

  constructor(below: Sysroot) {
    this.#below = below;
  }

  /** Places a file at a path without links on the way, hiding any file already there. */
  place(path: string, file: PlacedFile): void {
    this.#placed.set(path, file);
    this.#names.add(path);
  }

  lstat(path: string): FileStat | undefined {
    const placed = this.#placed.get(path);
    if (placed !== undefined) return placed.stat;
    if (!this.#names.has(path)) return this.#below.lstat(path);
    const below = this.#directoryBelow(path);
    return below ?? { ...IMPLIED, identity: `placed:${path}` };
  }

  readlink(path: string): string {
    return this.#placed.get(path)?.target ?? this.#below.readlink(path);
  }

  names(path: string): string[] {
    const placed = this.#names.in(path);
    const below = this.#directoryBelow(path) === undefined ? [] : this.#below.names(path);
    return [...new Set([...placed, ...below])];
  }

  open(path: string): OpenFile {
    const placed = this.#placed.get(path);
    if (placed === undefined) return this.#below.openAt(path);
    if (placed.open !== undefined) return placed.open();
    throw new JailbuildError('NOT_READABLE', `${path}: is not a regular file`, path);
  }

  /** Looks only where nothing is placed: a placed file has its own start. */
  dataStart(path: string): number | undefined {
    return this.#names.has(path) || this.#placed.has(path)
      ? undefined
      : this.#below.dataStart(path);
  }

  isShared(directory: string): boolean {
    const placed = this.#placed.get(directory);
    if (placed !== undefined) return placed.isShared?.() ?? false;
    return this.#directoryBelow(directory) !== undefined && this.#below.isShared(directory);
  }

  /** Below a placed directory, the lower tree may have anything, or something unreachable. */
  #directoryBelow(path: string): FileStat | undefined {
    try {
      const stat = this.#below.lstat(path);
      return stat?.type === 'directory' ? stat : undefined;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  }
}
