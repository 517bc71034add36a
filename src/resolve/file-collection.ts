import { JailbuildError } from '../errors.js';
import { BufferReader, type OpenFile } from '../fs/file-reader.js';
import type { FileStat } from '../fs/file-view.js';
import type { OverlayView, PlacedFile } from '../fs/overlay-view.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import type { Reason } from '../manifest/manifest.js';
import { baseName } from '../text/base-name.js';
import { isSameReason, note, type SeenReasons } from './seen-reasons.js';
import { isSurveyedData } from './surveyed-data.js';

/** How a script runs or reads a file. */
export type RunKind = 'shebang' | 'env' | 'command' | 'sourced';

/** The reason of directories and links on the way to other entries: one object, so that it is compared quickly. */
const PARENT: Reason = { kind: 'parent' };

/** The number of reasons from which on they are looked up. */
const MANY = 4;

/** A path that the jail must have, and the reasons. */
export interface CollectedFile {
  readonly path: string;
  /** The number of entries found before it. */
  readonly order: number;
  /** Its path in the sysroot, which differs if the user places it elsewhere. */
  readonly source: string;
  readonly stat: FileStat;
  /** The target of a symbolic link. */
  readonly target: string | undefined;
  /** The content of a file that is made rather than copied. */
  readonly content: Buffer | undefined;
  /** The numbers of a device node. */
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  /** True if it has no source in the sysroot. */
  readonly isMade: boolean;
  readonly reasons: readonly Reason[];
}

/**
 * A regular file that is only copied. There may be very many: its attributes are those that the sources know, and its
 * reasons a list that it shares.
 */
class DataFile implements CollectedFile, PlacedFile {
  readonly path: string;
  readonly source: string;
  readonly order: number;
  reasons: readonly Reason[];
  readonly #sources: Sysroot;

  constructor(
    { path, source = path, order }: { path: string; source?: string; order: number },
    reasons: readonly Reason[],
    sources: Sysroot,
  ) {
    this.path = path;
    this.source = source;
    this.order = order;
    this.reasons = reasons;
    this.#sources = sources;
  }

  get stat(): FileStat {
    return this.#sources.statOf(this.source);
  }

  open(): OpenFile {
    return this.#sources.openAt(this.source);
  }

  get target(): undefined {
    return undefined;
  }

  get content(): undefined {
    return undefined;
  }

  get device(): undefined {
    return undefined;
  }

  get isMade(): false {
    return false;
  }
}

/** Any other entry. */
interface OtherFile extends CollectedFile {
  readonly reasons: Reason[];
}

/** A file of the jail that is made rather than copied. */
export interface MadeFile {
  readonly type: 'directory' | 'file' | 'symlink' | 'character-device' | 'block-device' | 'fifo';
  /** Permission bits with set-user-ID, set-group-ID and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /**
   * Nanoseconds since the epoch. Use the time of a source, so that equal requests give equal plans.
   */
  readonly mtimeNs: bigint;
  readonly content?: Buffer;
  /** The target of a symbolic link. */
  readonly target?: string;
  readonly device?: { readonly major: number; readonly minor: number };
}

/** The sources of a jail, and the view of them with everything placed over them. */
export interface Placement {
  readonly sources: Sysroot;
  readonly overlay: OverlayView;
}

/**
 * The files found so far. Adding a look-up adds all its steps: the links, the directories on the
 * way, and the file at its end, so that the same look-up succeeds in the jail.
 */
export class FileCollection {
  readonly #sysroot: Sysroot;
  readonly #placement: Placement | undefined;
  readonly #files = new Map<string, OtherFile | DataFile>();
  /** All of `#files` in order, until one is added or removed. */
  #sorted: readonly CollectedFile[] | undefined;
  /** Lists of one reason. */
  readonly #single = new Map<Reason, readonly Reason[]>();
  /** The reasons of files with many, by path, and there by what they name first. */
  readonly #reasonsSeen = new Map<string, SeenReasons>();

  /**
   * @param sysroot the root for look-ups
   * @param placement present if the root is a planned jail, in which made and moved files are found
   */
  constructor(sysroot: Sysroot, placement?: Placement) {
    this.#sysroot = sysroot;
    this.#placement = placement;
  }

  /** Returns all files in the order of their paths. */
  sorted(): readonly CollectedFile[] {
    this.#sorted ??= [...this.#files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    return this.#sorted;
  }

  /** Yields the entries below a directory in the order of their paths. */
  *below(directory: string): Generator<CollectedFile> {
    const files = this.sorted();
    const prefix = `${directory}/`;
    let [low, high] = [0, files.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((files[middle]?.path ?? '') < prefix) low = middle + 1;
      else high = middle;
    }
    for (let at = low; ; at++) {
      const file = files[at];
      if (!file?.path.startsWith(prefix)) return;
      yield file;
    }
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Returns the paths of the regular files with a reason of these kinds. */
  withReason(...kinds: readonly Reason['kind'][]): string[] {
    const paths: string[] = [];
    for (const file of this.#files.values()) {
      if (this.#isThereFor(file, kinds) && file.stat.type === 'file') paths.push(file.path);
    }
    return paths;
  }

  #isThereFor({ reasons }: CollectedFile, kinds: readonly Reason['kind'][]): boolean {
    return reasons.some((reason) => {
      if (kinds.includes(reason.kind)) return true;
      const link = reason.kind === 'link-target' ? this.#files.get(reason.of) : undefined;
      return link !== undefined && this.#isThereFor(link, kinds);
    });
  }

  /** Returns the content of a file that is made. */
  contentOf(path: string): Buffer | undefined {
    return this.#files.get(path)?.content;
  }

  /** Adds the steps of a look-up. The reason applies to the name that was looked up. */
  add(trace: Trace, reason: Reason): void {
    let why = reason;
    for (const link of trace.links) {
      this.#put(link.path, link.target, link.last ? why : PARENT);
      if (link.last) why = { kind: 'link-target', of: link.path };
    }
    for (const directory of trace.left) this.#put(directory, undefined, PARENT);
    this.#put(trace.path, undefined, why, trace.stat);
  }

  /** Adds a regular file of the sysroot that is neither ELF nor executable. Its path has no links on the way. */
  addData(path: string, reason: Reason): void {
    if (this.#files.has(path)) {
      this.addReason(path, reason);
      return;
    }
    this.#setData({ path }, reason);
    this.#putParent(path);
  }

  #setData(at: { readonly path: string; readonly source?: string }, reason: Reason): void {
    let reasons = this.#single.get(reason);
    if (reasons === undefined) {
      reasons = [reason];
      this.#single.set(reason, reasons);
    }
    const order = this.#files.size;
    this.#set(at.path, new DataFile({ ...at, order }, reasons, this.#sources));
  }

  /** Adds a dangling symbolic link. Its path has no links on the way. */
  addLink(canonical: string, reason: Reason): void {
    this.#put(canonical, this.#sysroot.readlink(canonical), reason);
  }

  /**
   * Adds a directory with everything below it; keeps links inside without following them. A reason
   * of its own marks a directory as copied for its content.
   */
  addTree(directory: Trace, reason: (name: string) => Reason): void {
    this.add(directory, reason(baseName(directory.path)));
    for (const name of this.#sysroot.list(directory)) {
      const path = directory.path === '/' ? `/${name}` : `${directory.path}/${name}`;
      const found = this.#sysroot.trace(path);
      if (!isTrace(found)) continue;
      if (found.stat.type === 'directory' && found.links.length === 0) {
        this.addTree(found, reason);
      } else {
        this.add(found, reason(name));
      }
    }
  }

  /**
   * Adds a file that is made rather than copied; it replaces a copy at that path. Links of the
   * sysroot on the way to `path` are kept as for a look-up; directories missing in the sysroot are
   * made with owner root and mode 0755.
   *
   * @returns its path in the jail, without links on the way
   */
  addMade(path: string, made: MadeFile, reason: Reason): string {
    const cut = path.lastIndexOf('/');
    const parent = this.#directory(cut <= 0 ? '/' : path.slice(0, cut), made.mtimeNs);
    const at = `${parent === '/' ? '' : parent}/${path.slice(cut + 1)}`;
    const known = this.#files.get(at);
    this.#set(at, {
      path: at,
      order: known?.order ?? this.#files.size,
      source: at,
      stat: {
        type: made.type,
        mode: made.mode,
        uid: made.uid,
        gid: made.gid,
        size: made.content?.length ?? 0,
        mtimeNs: made.mtimeNs,
        identity: `made:${at}`,
      },
      target: made.target,
      content: made.type === 'file' ? (made.content ?? Buffer.alloc(0)) : undefined,
      device: made.device,
      isMade: true,
      reasons: [...(known?.reasons ?? []), reason],
    });
    this.#place([at]);
    return at;
  }

  /**
   * Adds a file of the sources, or a directory with everything below it, at another path. Links
   * inside are kept unchanged.
   *
   * @param from the file in the sources
   * @returns the paths of everything added, in the jail
   */
  addElsewhere(from: Trace, to: string, reason: Reason): string[] {
    const cut = to.lastIndexOf('/');
    const parent = this.#directory(cut <= 0 ? '/' : to.slice(0, cut), from.stat.mtimeNs);
    const paths: string[] = [];
    this.#copyTo(from.path, `${parent === '/' ? '' : parent}/${to.slice(cut + 1)}`, reason, paths);
    this.#place(paths);
    return paths;
  }

  get #sources(): Sysroot {
    return this.#placement?.sources ?? this.#sysroot;
  }

  #copyTo(source: string, path: string, reason: Reason, paths: string[]): void {
    const sources = this.#sources;
    this.#reasonsSeen.delete(path);
    if (isSurveyedData(sources, source)) {
      this.#setData({ path, source }, reason);
      paths.push(path);
      return;
    }
    const stat = sources.statOf(source);
    this.#set(path, {
      path,
      order: this.#files.size,
      source,
      stat,
      target: stat.type === 'symlink' ? sources.readlink(source) : undefined,
      content: undefined,
      device: stat.device,
      isMade: false,
      reasons: [reason],
    });
    paths.push(path);
    if (stat.type !== 'directory') return;
    const directory = sources.trace(source);
    if (!isTrace(directory)) return;
    for (const name of sources.list(directory)) {
      this.#copyTo(`${source}/${name}`, `${path}/${name}`, reason, paths);
    }
  }

  /** Makes files added at these paths visible to look-ups. */
  #place(paths: readonly string[]): void {
    if (this.#placement === undefined) return;
    const { sources, overlay } = this.#placement;
    for (const path of paths) {
      const file = this.#files.get(path);
      if (file instanceof DataFile) overlay.place(path, file);
      if (file === undefined || file instanceof DataFile) continue;
      const { stat, target, content, source, isMade } = file;
      const open = isMade
        ? () => new BufferReader(content ?? Buffer.alloc(0), path)
        : () => sources.openAt(source);
      const isShared = () => !isMade && stat.type === 'directory' && sources.isShared(source);
      overlay.place(path, stat.type === 'file' ? { stat, open } : { stat, target, isShared });
    }
    this.#sysroot.forget();
  }

  /** Returns whether the entry at a path is a regular file that is neither ELF nor executable, and only copied. */
  isData(path: string): boolean {
    return this.#files.get(path) instanceof DataFile;
  }

  /** Returns the entry at a path. */
  at(path: string): CollectedFile | undefined {
    return this.#files.get(path);
  }

  /**
   * Refuses a jail in which a file that is not a directory has entries below it.
   *
   * @throws JailbuildError CONFLICT
   */
  refuseConflicts(): void {
    let latest = '';
    for (const { path } of this.#files.values()) {
      const cut = path.lastIndexOf('/');
      if (cut === latest.length && path.startsWith(latest)) continue;
      latest = path.slice(0, cut);
      const parent = cut > 0 ? this.#files.get(latest) : undefined;
      if (parent === undefined || parent.stat.type === 'directory') continue;
      const reasons: readonly Reason[] = parent.reasons;
      const include = reasons.find((reason) => reason.kind === 'included');
      const what = include === undefined ? '' : `include ${include.as}: `;
      const remedy = include === undefined ? '' : '; end the destination with / to put it inside';
      throw new JailbuildError(
        'CONFLICT',
        `${what}${parent.path} is a ${parent.stat.type.replace('-', ' ')} of the plan, but ${path} needs a directory there${remedy}`,
        parent.path,
      );
    }
  }

  /** Adds a reason to an entry, once. */
  addReason(path: string, reason: Reason): void {
    const file = this.#files.get(path);
    if (file === undefined || !this.#isNew(path, reason, file.reasons)) return;
    if (file instanceof DataFile) file.reasons = [...file.reasons, reason];
    else file.reasons.push(reason);
  }

  /** Nearly all files have one reason, the C library one for each program. */
  #isNew(path: string, reason: Reason, reasons: readonly Reason[]): boolean {
    if (reasons.length < MANY) return !reasons.some((known) => isSameReason(known, reason));
    let known = this.#reasonsSeen.get(path);
    if (known === undefined) {
      known = new Map();
      for (const one of reasons) note(known, one);
      this.#reasonsSeen.set(path, known);
    }
    return note(known, reason);
  }

  /** Returns the reasons of an entry; for the target of a link, also the reasons of the link. */
  reasonsOf(path: string): readonly Reason[] {
    return (this.#files.get(path)?.reasons ?? []).flatMap((reason) =>
      reason.kind === 'link-target' ? [reason, ...this.reasonsOf(reason.of)] : [reason],
    );
  }

  /**
   * Returns the regular files that a script runs: its interpreter (`shebang`), the program that env(1) runs for it,
   * its commands, and the files that it sources.
   */
  runBy(script: string, ...kinds: readonly RunKind[]): string[] {
    const runs = (reason: Reason): boolean => {
      if (reason.kind === 'command' || reason.kind === 'sourced')
        return kinds.includes(reason.kind) && reason.by === script;
      if (reason.kind !== 'shebang' && reason.kind !== 'env') return false;
      return kinds.includes(reason.kind) && reason.of === script;
    };
    return this.withReason(...kinds).filter((path) => this.reasonsOf(path).some(runs));
  }

  /** Removes entries, as if they had never been found. */
  remove(paths: Iterable<string>): void {
    this.#sorted = undefined;
    for (const path of paths) {
      this.#files.delete(path);
      this.#reasonsSeen.delete(path);
    }
  }

  /**
   * Returns the path that identifies a look-up in reasons: its first own link, or the file itself.
   */
  static nameOf(trace: Trace): string {
    return trace.links.find((link) => link.last)?.path ?? trace.path;
  }

  /** Ensures that a directory is in the jail, and returns its path without links. */
  #directory(path: string, mtimeNs: bigint): string {
    if (path === '/' || this.#files.get(path)?.stat.type === 'directory') return path;
    const found = this.#sysroot.trace(path);
    if (isTrace(found)) {
      if (found.path !== '/') this.add(found, PARENT);
      return found.path;
    }
    const directory = { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs } as const;
    return this.addMade(path, directory, PARENT);
  }

  #set(path: string, file: OtherFile | DataFile): void {
    this.#files.set(path, file);
    this.#sorted = undefined;
  }

  #putParent(path: string): void {
    const cut = path.lastIndexOf('/');
    if (cut > 0) this.#put(path.slice(0, cut), undefined, PARENT);
  }

  #put(
    path: string,
    target: string | undefined,
    reason: Reason,
    stat: FileStat | undefined = undefined,
  ): void {
    if (this.#files.has(path)) {
      this.addReason(path, reason);
      return;
    }
    this.#add(path, target, reason, stat ?? this.#sysroot.statOf(path));
    this.#putParent(path);
  }

  #add(path: string, target: string | undefined, reason: Reason, stat: FileStat): void {
    this.#set(path, {
      path,
      order: this.#files.size,
      source: path,
      stat,
      target,
      content: undefined,
      device: stat.device,
      isMade: false,
      reasons: [reason],
    });
  }
}
