import { statSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import type { OpenFile } from './file-reader.js';
import { DirectoryView, type FileStat, type FileView } from './file-view.js';
import { fromBytes, realPathOf, toBytes } from './path-bytes.js';
import { RecordedView, recordedAttributes } from './recorded-attributes.js';

/** The kernel follows at most this many symbolic links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;

/** The longest path that system calls take, without the zero byte (limits.h, PATH_MAX). */
const MAX_PATH = 4095;

/** Names that links of one look-up may put in its way: real ones have a few dozen. */
const MAX_LINKED_NAMES = 1024;

const MAX_TEXT = 16 << 20;

/** A symbolic link that a look-up followed. */
export interface FollowedLink {
  /** Where the link itself is: no links on the way to it. */
  readonly path: string;
  /** Its text. */
  readonly target: string;
  /** False for a link to a directory in the middle of the path, such as /lib on merged-/usr hosts. */
  readonly last: boolean;
  /** Whether others than root and the caller may have put it there. */
  readonly isForeign?: true;
}

/** A successful look-up: what the kernel's path resolution does, with every hop noted. */
export interface Trace {
  /** The path without links, `.` and `..`. */
  readonly path: string;
  readonly stat: FileStat;
  readonly links: readonly FollowedLink[];
  /** Directories entered and left again through `..`: they must exist for the look-up to succeed. */
  readonly left: readonly string[];
}

/** A failed look-up: the errno, and the path at which it came up. */
export interface TraceFailure {
  readonly errno: string;
  readonly at: string;
}

/** Everything that look-ups have seen; their results depend on it and on the content of files. */
export interface Observed {
  /** By path without links. */
  readonly found: ReadonlyMap<string, FileStat>;
  readonly absent: readonly string[];
  /** The names in directories. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
}

function isLedByOthers({ links }: Trace): boolean {
  return links.some(({ isForeign }) => isForeign);
}

export function isTrace(result: Trace | TraceFailure): result is Trace {
  return 'stat' in result;
}

/**
 * A file system seen from a root directory. All paths given and returned are absolute inside it,
 * and absolute symbolic links start at that root again, so nothing outside is ever reached.
 * Answers are remembered: a sysroot is a view for one job, during which the host is taken as still.
 */
export class Sysroot {
  readonly #view: FileView;
  readonly #stats = new Map<string, FileStat | TraceFailure>();
  readonly #lists = new Map<string, string[]>();
  readonly #traces = new Map<string, Trace | TraceFailure>();
  #probe: Sysroot | undefined;

  /**
   * @param root a directory, or a tree that is none, such as a plan
   * @throws JailbuildError SYSROOT_NOT_A_DIRECTORY
   */
  constructor(root: string | FileView = '/') {
    this.#view = typeof root === 'string' ? directoryView(root) : root;
  }

  /**
   * The root directory's path in the real file system, without links, and without a slash at its
   * end; '' for `/`.
   */
  get prefix(): string {
    return this.#directory.prefix;
  }

  /** The real path of a path inside, for system calls. */
  realPath(inside: string): string {
    return this.#directory.realPath(inside);
  }

  get #directory(): DirectoryView {
    if (this.#view instanceof DirectoryView) return this.#view;
    throw new Error('this root is not a directory of the file system');
  }

  /**
   * The same tree for look-ups on which no file of the jail depends: what they see is not among what
   * this root has {@link observed}, but among what its probe has.
   */
  get probe(): Sysroot {
    this.#probe ??= new Sysroot(this.#view);
    return this.#probe;
  }

  /** Looks a path up as stat(2) does, following links, and returns every hop. */
  trace(inside: string): Trace | TraceFailure {
    const known = this.#traces.get(inside);
    if (known !== undefined) return known;
    if (inside.length > MAX_PATH) return { errno: 'ENAMETOOLONG', at: inside };
    const result = this.#guarded(this.#walk(inside, 0, 0));
    this.#traces.set(inside, result);
    return result;
  }

  /**
   * The file's own attributes, without following a link at its end. The path must have no links on
   * the way, as those in a {@link Trace} have.
   *
   * @throws JailbuildError NOT_READABLE
   */
  statOf(canonical: string): FileStat {
    const stat = this.#lstat(canonical);
    if ('errno' in stat) {
      throw new JailbuildError('NOT_READABLE', `${canonical}: ${stat.errno}`, canonical);
    }
    return stat;
  }

  /**
   * The same, undefined for what is not there.
   *
   * @throws an error with the errno as its code
   */
  lstat(canonical: string): FileStat | undefined {
    const stat = this.#lstat(canonical);
    if (!('errno' in stat)) return stat;
    if (stat.errno === 'ENOENT') return undefined;
    throw Object.assign(new Error(`${canonical}: ${stat.errno}`), { code: stat.errno });
  }

  /** The type of what is at a path without links on the way; undefined if that cannot be told. */
  typeOf(canonical: string): FileStat['type'] | undefined {
    const stat = this.#lstat(canonical);
    return 'errno' in stat ? undefined : stat.type;
  }

  /** The link's text. The path must have no links on the way, as those in a {@link Trace} have. */
  readlink(inside: string): string {
    return this.#view.readlink(inside);
  }

  /**
   * Opens a regular file found by {@link trace}.
   * @throws JailbuildError NOT_READABLE
   */
  open(found: Trace): OpenFile {
    return this.openAt(found.path);
  }

  /** The same by a path that has no links on the way. */
  openAt(canonical: string): OpenFile {
    return this.#view.open(canonical);
  }

  /** The names in the directory at a path that has no links on the way, sorted. */
  names(canonical: string): readonly string[] {
    return this.#listAt(canonical);
  }

  /** Whether others than root and the caller can change what is in a directory. */
  isShared(directory: string): boolean {
    return this.#view.isShared?.(directory) ?? false;
  }

  /** Forgets all answers, because the tree has changed. */
  forget(): void {
    this.#stats.clear();
    this.#lists.clear();
    this.#traces.clear();
  }

  /** The whole of a small text file; of one beyond any use, its beginning. */
  readText(found: Trace): string {
    const reader = this.open(found);
    try {
      return fromBytes(reader.read(0, Math.min(reader.size, MAX_TEXT)));
    } finally {
      reader.close();
    }
  }

  /** The names in a directory found by {@link trace}, sorted. Empty if it cannot be read. */
  list(found: Trace): string[] {
    const known = this.#lists.get(found.path);
    if (known !== undefined) return known;
    if (isLedByOthers(found) && !this.#isPublic(found, 0o004)) return [];
    return this.#listAt(found.path);
  }

  #listAt(canonical: string): string[] {
    const known = this.#lists.get(canonical);
    if (known !== undefined) return known;
    let names: string[] = [];
    try {
      names = this.#view.names(canonical).sort();
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
    this.#lists.set(canonical, names);
    return names;
  }

  /** The link of others that leads to a directory in which they have no hand; undefined without one. */
  astrayBy({ path: at, stat, links }: Trace): string | undefined {
    if (stat.type !== 'directory' || this.#view.isShared?.(path.posix.dirname(at)))
      return undefined;
    return links.find(({ isForeign }) => isForeign)?.path;
  }

  /** What was looked at so far; undefined if something could be neither found nor missed. */
  observed(): Observed | undefined {
    return this.#observed(false);
  }

  /** The same; what could be neither found nor missed counts as absent. */
  lookedAt(): Observed {
    return this.#observed(true) as Observed;
  }

  #observed(isLenient: boolean): Observed | undefined {
    const found = new Map<string, FileStat>();
    const absent: string[] = [];
    for (const [at, stat] of this.#stats) {
      if (!('errno' in stat)) found.set(at, stat);
      else if (isLenient || stat.errno === 'ENOENT') absent.push(at);
      else return undefined;
    }
    return { found, absent, lists: this.#lists };
  }

  #lstat(canonical: string): FileStat | TraceFailure {
    const known = this.#stats.get(canonical);
    if (known !== undefined) return known;
    let result: FileStat | TraceFailure;
    try {
      result = this.#view.lstat(canonical) ?? { errno: 'ENOENT', at: canonical };
    } catch (error) {
      result = { errno: errnoOf(error) ?? 'EIO', at: canonical };
    }
    this.#stats.set(canonical, result);
    return result;
  }

  #link(canonical: string, target: string, directory: string, { uid }: FileStat): FollowedLink {
    const isOurs =
      (uid === 0 || uid === process.geteuid?.()) && !(this.#view.isShared?.(directory) ?? false);
    return { path: canonical, target, last: true, ...(isOurs ? {} : { isForeign: true }) };
  }

  /**
   * Follows links of others only to where they could go themselves: who may write to a directory must
   * not make us read what is not for their eyes (as fs.protected_symlinks, proc_sys_fs(5)).
   */
  #guarded(result: Trace | TraceFailure): Trace | TraceFailure {
    if (!isTrace(result) || !isLedByOthers(result)) return result;
    if (this.#isPublic(result, result.stat.type === 'directory' ? 0o001 : 0o004)) return result;
    return {
      errno: 'EACCES',
      at: result.links.find((link) => link.isForeign)?.path ?? result.path,
    };
  }

  /** Whether everyone may read what was found, or a user other than the caller put it there. */
  #isPublic({ path: at, stat }: Trace, right: number): boolean {
    let directory = path.posix.dirname(at);
    if (this.#view.isShared?.(directory)) return true;
    if ((stat.mode & right) === 0) return false;
    for (; directory !== '/'; directory = path.posix.dirname(directory)) {
      const above = this.#lstat(directory);
      if ('errno' in above || (above.mode & 0o001) === 0) return false;
    }
    return true;
  }

  /** @param depth how many names this is below the link that was followed first */
  #walk(inside: string, followed: number, depth: number): Trace | TraceFailure {
    if (depth > MAX_LINKED_NAMES) return { errno: 'ENAMETOOLONG', at: inside };
    if (inside === '/') {
      const stat = this.#lstat('/');
      return 'errno' in stat ? stat : { path: '/', stat, links: [], left: [] };
    }
    const cut = inside.lastIndexOf('/');
    const name = inside.slice(cut + 1);
    const parent =
      followed === 0
        ? this.trace(cut <= 0 ? '/' : inside.slice(0, cut))
        : this.#walk(cut <= 0 ? '/' : inside.slice(0, cut), followed, depth + 1);
    if (!isTrace(parent)) return parent;
    if (parent.stat.type !== 'directory') return { errno: 'ENOTDIR', at: parent.path };
    const passed = parent.links.some((link) => link.last)
      ? parent.links.map((link) => ({ ...link, last: false }))
      : parent.links;

    if (name === '' || name === '.') return { ...parent, links: passed };
    if (name === '..') {
      const up = path.posix.dirname(parent.path);
      const stat = this.#lstat(up);
      if ('errno' in stat) return stat;
      return {
        path: up,
        stat,
        links: passed,
        // The root is its own parent, and always there.
        left: parent.path === '/' ? parent.left : [...parent.left, parent.path],
      };
    }

    const canonical = parent.path === '/' ? `/${name}` : `${parent.path}/${name}`;
    const stat = this.#lstat(canonical);
    if ('errno' in stat) return stat;
    if (stat.type !== 'symlink') return { path: canonical, stat, links: passed, left: parent.left };

    const count = followed + passed.length + 1;
    if (count > MAX_LINKS) return { errno: 'ELOOP', at: inside };
    let target: string;
    try {
      target = this.readlink(canonical);
    } catch (error) {
      // It was one a moment ago.
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      return { errno, at: canonical };
    }
    const next = target.startsWith('/') ? target : `${parent.path}/${target}`;
    const end = this.#walk(next, count, depth + 1);
    if (!isTrace(end)) return end;
    return {
      path: end.path,
      stat: end.stat,
      links: [...passed, this.#link(canonical, target, parent.path, stat), ...end.links],
      left: [...parent.left, ...end.left],
    };
  }
}

function directoryView(root: string): DirectoryView {
  const real = root === '/' ? root : realDirectory(root);
  const attributes = recordedAttributes(real);
  if (attributes !== undefined) return new RecordedView(real, attributes);
  return new DirectoryView(real === '/' ? '' : real);
}

function realDirectory(root: string): string {
  let problem = 'is not a directory';
  try {
    const real = realPathOf(root);
    if (statSync(toBytes(real)).isDirectory()) return real;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    problem = strerror(error);
  }
  throw new JailbuildError('SYSROOT_NOT_A_DIRECTORY', `${root}: ${problem}`, root);
}
