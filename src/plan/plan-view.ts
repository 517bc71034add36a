import { JailbuildError } from '../errors.js';
import { BufferReader, FileReader, type OpenFile } from '../fs/file-reader.js';
import type { FileStat, FileView } from '../fs/file-view.js';
import { HeldTree } from '../fs/held-tree.js';
import { NameTree } from '../fs/name-tree.js';
import type { Entry, FileEntry } from '../manifest/manifest.js';
import { nanoseconds } from '../manifest/timestamp.js';

/** A directory that a plan needs but does not list. */
const IMPLIED: FileStat = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  identity: 'plan:implied',
};

/**
 * A plan as a tree of files before it is written: entries give names and attributes, their sources
 * give content. A plan can thus be verified like a directory.
 */
export class PlanView implements FileView {
  readonly #entries = new Map<string, Entry>();
  readonly #names = new NameTree();
  readonly #sources: HeldTree;
  readonly #below: FileView | undefined;

  /**
   * @param sourceRoot the real path that sources are relative to, '' for `/`
   * @param below the files at paths that the plan does not name, such as the jail that it adds to
   */
  constructor(entries: readonly Entry[], sourceRoot: string, below?: FileView) {
    this.#sources = new HeldTree(sourceRoot);
    this.#below = below;
    for (const entry of entries) {
      this.#entries.set(entry.path, entry);
      this.#names.add(entry.path);
    }
  }

  lstat(path: string): FileStat | undefined {
    const entry = this.#entries.get(path);
    if (entry !== undefined) return this.#statOf(entry);
    return this.#below?.lstat(path) ?? (this.#names.has(path) ? IMPLIED : undefined);
  }

  readlink(path: string): string {
    const entry = this.#entries.get(path);
    if (entry?.type === 'symlink') return entry.target;
    if (this.#below !== undefined) return this.#below.readlink(path);
    throw new Error(`${path}: is not a symbolic link of the plan`);
  }

  names(path: string): string[] {
    const planned = [...this.#names.in(path)];
    if (this.#below?.lstat(path)?.type !== 'directory') return planned;
    return [...new Set([...planned, ...this.#below.names(path)])];
  }

  open(path: string): OpenFile {
    const entry = this.#entries.get(path);
    if (entry?.type === 'file') return this.#openEntry(entry);
    if (this.#below !== undefined) return this.#below.open(path);
    throw new JailbuildError('NOT_READABLE', `${path}: is not a file of the plan`, path);
  }

  #openEntry(entry: FileEntry): OpenFile {
    const { path, source, content } = entry;
    if (source !== undefined) {
      const reader = new FileReader(this.#sources, source, path);
      if (reader.size === entry.size) return reader;
      reader.close();
      const message = `${source}: changed since it was planned: export again`;
      throw new JailbuildError('SOURCE_CHANGED', message, source);
    }
    if (content !== undefined) return new BufferReader(Buffer.from(content, 'base64'), path);
    const original = entry.hardlink === undefined ? undefined : this.#entries.get(entry.hardlink);
    if (original?.type === 'file' && original.hardlink === undefined) {
      return this.#openEntry(original);
    }
    return new BufferReader(Buffer.alloc(0), path);
  }

  #statOf(entry: Entry): FileStat {
    return {
      type: entry.type,
      mode: Number.parseInt(entry.mode, 8),
      uid: entry.uid,
      gid: entry.gid,
      size: entry.type === 'file' ? entry.size : 0,
      mtimeNs: nanoseconds(entry.mtime),
      identity: `plan:${(entry.type === 'file' ? entry.hardlink : undefined) ?? entry.path}`,
    };
  }
}
