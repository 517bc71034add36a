import { statSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import type { OpenFile } from './file-reader.js';
import { DirectoryView, type FileStat, type FileView } from './file-view.js';
import { fromBytes, realPathOf, toBytes } from './path-bytes.js';
import { RecordedView, recordedAttributes } from './recorded-attributes.js';
import { type Survey, SurveyedPaths } from './survey.js';

/** The kernel follows at most this many symbolic links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;

/** Longest path accepted by system calls, without the terminating NUL (limits.h, PATH_MAX). */
const MAX_PATH = 4095;

/** Maximum number of components that links may add to one look-up; real ones add a few dozen. */
const MAX_LINKED_NAMES = 1024;

const MAX_TEXT = 16 << 20;

/** A symbolic link followed by a look-up. */
export interface FollowedLink {
  /** Path of the link itself, with no links on the way. */
  readonly path: string;
  /** The link's target as stored. */
  readonly target: string;
  /** False for a link to a directory in the middle of the path, such as /lib on merged-/usr hosts. */
  readonly last: boolean;
  /** Whether users other than root and the caller may have created it. */
  readonly isForeign?: true;
}

/** A successful look-up as the kernel resolves paths, with every hop recorded. */
export interface Trace {
  /** The path with links, `.` and `..` resolved. */
  readonly path: string;
  readonly stat: FileStat;
  readonly links: readonly FollowedLink[];
  /** Directories entered and left again through `..`; they must exist for the look-up to succeed. */
  readonly left: readonly string[];
}

/** A failed look-up: the errno and the path where it occurred. */
export interface TraceFailure {
  readonly errno: string;
  readonly at: string;
}

/** Everything that look-ups have seen. Their results depend on it and on the content of files. */
export interface Observed {
  /** By path with all links resolved. */
  readonly found: ReadonlyMap<string, FileStat>;
  /** Paths of further files, which are not directories; `numbersOf` has what is known of them. */
  readonly surveyed: Iterable<string>;
  readonly absent: readonly string[];
  /** The names in directories. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
  /** Paths among `found` and `absent` of which any change counts; of directories, also of their entries. */
  readonly stamped: ReadonlySet<string>;
  /** Returns the numbers of lstat(2) for a file found in a survey, as `Survey.numbersOf`. */
  readonly numbersOf?: ((path: string) => readonly number[] | undefined) | undefined;
}

function isLedByOthers({ links }: Trace): boolean {
  return links.some(({ isForeign }) => isForeign);
}

export function isTrace(result: Trace | TraceFailure): result is Trace {
  return 'stat' in result;
}

/**
 * A file system seen from a root directory. Paths given and returned are absolute inside it; absolute symbolic links
 * start again at that root, so nothing outside is ever reached. Results are cached: a sysroot is a view for one job,
 * during which the host is assumed not to change.
 */
export class Sysroot {
  readonly #view: FileView;
  readonly #stats = new Map<string, FileStat | TraceFailure>();
  /**
   * Files of the survey that were looked up. Their attributes are taken from it each time: kept here, those of a large
   * tree would take several times the memory.
   */
  #surveyed: SurveyedPaths | undefined;
  readonly #lists = new Map<string, string[]>();
  readonly #stamped = new Set<string>();
  readonly #traces = new Map<string, Trace | TraceFailure>();
  #probe: Sysroot | undefined;
  #ahead: Sysroot | undefined;
  #isProbe = false;
  /** The view that this one was made from. */
  #above: { readonly sysroot: Sysroot; readonly isRecorded: boolean } | undefined;

  /**
   * @param root a directory, or a virtual tree such as a plan
   * @throws JailbuildError SYSROOT_NOT_A_DIRECTORY
   */
  constructor(root: string | FileView = '/') {
    this.#view = typeof root === 'string' ? directoryView(root) : root;
  }

  static #below(sysroot: Sysroot, isRecorded: boolean): Sysroot {
    const below = new Sysroot(sysroot.#view);
    below.#above = { sysroot, isRecorded };
    below.#isProbe = sysroot.#isProbe || !isRecorded;
    return below;
  }

  /** Returns the root's path in the real file system, with all links resolved and no trailing slash; '' for `/`. */
  get prefix(): string {
    return this.#directory.prefix;
  }

  /** Returns the real path of a path inside the root, for system calls. */
  realPath(inside: string): string {
    return this.#directory.realPath(inside);
  }

  get #directory(): DirectoryView {
    if (this.#view instanceof DirectoryView) return this.#view;
    throw new Error('this root is not a directory of the file system');
  }

  /** Takes attributes of files from a survey of the same directory. */
  useSurvey(survey: Survey | undefined): void {
    this.#directory.survey = survey;
  }

  /**
   * Returns a view of the same tree for look-ups on which no file of the jail depends: they are recorded in the probe's
   * {@link observed}, not in this root's. A probe is its own probe.
   */
  get probe(): Sysroot {
    if (this.#isProbe) return this;
    // What a part probes is recorded where the whole records what it probes.
    this.#probe ??=
      this.#above?.isRecorded === true
        ? this.#above.sysroot.probe.part()
        : Sysroot.#below(this, false);
    return this.#probe;
  }

  /**
   * Returns a view of the same tree for look-ups that will probably be made here too: only then does this root record
   * them, and it need not look again.
   */
  get ahead(): Sysroot {
    this.#ahead ??= Sysroot.#below(this, false);
    return this.#ahead;
  }

  /**
   * Returns a view of the same tree whose look-ups are recorded in its own {@link observed} and in this root's; what it
   * probes is recorded in its own probe and in this root's.
   */
  part(): Sysroot {
    return Sysroot.#below(this, true);
  }

  /** Looks a path up as stat(2) does, following links, and returns every hop. */
  trace(inside: string): Trace | TraceFailure {
    const known = this.#traces.get(inside);
    if (known !== undefined) return known;
    if (inside.length > MAX_PATH) return { errno: 'ENAMETOOLONG', at: inside };
    const result = this.#guarded(this.#walk(inside, 0, 0));
    if (!this.#surveyed?.has(inside)) this.#traces.set(inside, result);
    return result;
  }

  /** Yields the paths that were looked up by {@link trace}, as they were given, with what was found. */
  *traced(): Generator<readonly [inside: string, found: Trace]> {
    for (const [inside, found] of this.#traces) if (isTrace(found)) yield [inside, found];
  }

  /**
   * Looks up a file that {@link list} returned, without following a link.
   *
   * @returns its first four bytes, as a little-endian number, if it is a regular file of a survey that nobody may
   * execute; otherwise undefined, and the file counts as not looked up
   */
  dataStart(canonical: string): number | undefined {
    const start = this.#view.dataStart?.(canonical);
    if (start !== undefined && this.#view instanceof DirectoryView) this.#noteSurveyed(canonical);
    return start;
  }

  /**
   * Returns a file's attributes without following a link at its end. The path must have no links on the way, like those
   * in a {@link Trace}.
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
   * As `statOf`, but returns undefined if the file does not exist.
   *
   * @throws an error with the errno as its code
   */
  lstat(canonical: string): FileStat | undefined {
    const stat = this.#lstat(canonical);
    if (!('errno' in stat)) return stat;
    if (stat.errno === 'ENOENT') return undefined;
    throw Object.assign(new Error(`${canonical}: ${stat.errno}`), { code: stat.errno });
  }

  /**
   * As {@link lstat}, for a directory of which many entries are read: that it has not changed then stands for what was
   * found in it, except for the content and attributes of files.
   */
  stamp(canonical: string): FileStat | undefined {
    const stat = this.lstat(canonical);
    this.#noteStamp(canonical);
    return stat;
  }

  /**
   * Returns the targets of the symbolic links in a directory found by {@link trace}, by name; none if it cannot be read.
   * Only the directory is recorded, by a {@link stamp}, since a link is never changed in place.
   */
  linksIn(found: Trace): Map<string, string> {
    const targets = new Map<string, string>();
    if (isLedByOthers(found) && !this.#isPublic(found, 0o004)) return targets;
    this.stamp(found.path);
    for (const name of this.#entriesOf(found.path)) {
      try {
        targets.set(name, this.#view.readlink(`${found.path === '/' ? '' : found.path}/${name}`));
      } catch (error) {
        // It is no link.
        if (errnoOf(error) === undefined) throw error;
      }
    }
    return targets;
  }

  #entriesOf(canonical: string): string[] {
    try {
      return this.#view.names(canonical).sort();
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return [];
    }
  }

  #noteStamp(canonical: string): void {
    this.#stamped.add(canonical);
    if (this.#above?.isRecorded === true) this.#above.sysroot.#noteStamp(canonical);
  }

  /** Returns the type of the file at a path without links on the way; undefined if it cannot be determined. */
  typeOf(canonical: string): FileStat['type'] | undefined {
    const stat = this.#lstat(canonical);
    return 'errno' in stat ? undefined : stat.type;
  }

  /** Returns a link's target. The path must have no links on the way, like those in a {@link Trace}. */
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

  /** Opens a regular file by a path without links on the way. */
  openAt(canonical: string): OpenFile {
    return this.#view.open(canonical);
  }

  /**
   * Reads the start of a regular file found by {@link trace} into a buffer; returns the part that was filled.
   * @throws JailbuildError NOT_READABLE
   */
  readStart({ path: at }: Pick<Trace, 'path'>, target: Buffer): Buffer {
    if (this.#view instanceof DirectoryView) return this.#view.readStart(at, target);
    const reader = this.openAt(at);
    try {
      return target.subarray(0, reader.readInto(target, 0));
    } finally {
      reader.close();
    }
  }

  /** Returns the sorted names in the directory at a path without links on the way. */
  names(canonical: string): readonly string[] {
    return this.#listAt(canonical);
  }

  /** Returns whether users other than root and the caller can change a directory's entries. */
  isShared(directory: string): boolean {
    return this.#view.isShared?.(directory) ?? false;
  }

  /** Clears all cached results after the tree has changed. */
  forget(): void {
    this.#stats.clear();
    this.#surveyed?.clear();
    this.#lists.clear();
    this.#stamped.clear();
    this.#traces.clear();
    this.#ahead = undefined;
  }

  /** Returns a small text file, truncated if it exceeds any useful size. */
  readText(found: Trace): string {
    const reader = this.open(found);
    try {
      return fromBytes(reader.read(0, Math.min(reader.size, MAX_TEXT)));
    } finally {
      reader.close();
    }
  }

  /** Returns the sorted names in a directory found by {@link trace}, empty if it cannot be read. */
  list(found: Trace): string[] {
    const known = this.#lists.get(found.path);
    if (known !== undefined) return known;
    if (isLedByOthers(found) && !this.#isPublic(found, 0o004)) return [];
    return this.#listAt(found.path);
  }

  #listAt(canonical: string): string[] {
    const known = this.#lists.get(canonical);
    if (known !== undefined) return known;
    const names =
      this.#above?.isRecorded === true
        ? this.#above.sysroot.#listAt(canonical)
        : this.#entriesOf(canonical);
    this.#lists.set(canonical, names);
    return names;
  }

  /** Returns a link created by others that leads to a directory they do not control; undefined if there is none. */
  astrayBy({ path: at, stat, links }: Trace): string | undefined {
    if (stat.type !== 'directory' || this.#view.isShared?.(path.posix.dirname(at)))
      return undefined;
    return links.find(({ isForeign }) => isForeign)?.path;
  }

  /** Returns everything looked at so far; undefined if any look-up could determine neither presence nor absence. */
  observed(): Observed | undefined {
    return this.#observed(false);
  }

  /** As `observed`, but counts undetermined look-ups as absent. */
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
    const view = this.#view;
    const numbersOf =
      view instanceof DirectoryView ? (at: string) => view.numbersOf(at) : undefined;
    const [lists, stamped] = [this.#lists, this.#stamped];
    return { found, surveyed: this.#surveyed ?? [], absent, lists, stamped, numbersOf };
  }

  #lstat(canonical: string): FileStat | TraceFailure {
    const known = this.#stats.get(canonical) ?? this.#known(canonical);
    if (known !== undefined) return known;
    const view = this.#view;
    const surveyed = view instanceof DirectoryView ? view.surveyed(canonical) : undefined;
    if (surveyed !== undefined && surveyed.type !== 'directory') {
      this.#noteSurveyed(canonical);
      return surveyed;
    }
    const seen = this.#ahead === undefined ? undefined : this.#ahead.#stats.get(canonical);
    const result = seen ?? this.#inspect(canonical);
    this.#stats.set(canonical, result);
    return result;
  }

  #inspect(canonical: string): FileStat | TraceFailure {
    try {
      return this.#view.lstat(canonical) ?? { errno: 'ENOENT', at: canonical };
    } catch (error) {
      return { errno: errnoOf(error) ?? 'EIO', at: canonical };
    }
  }

  /** Takes what the view above has found; it need not look again. */
  #known(canonical: string): FileStat | TraceFailure | undefined {
    if (this.#above === undefined) return undefined;
    const { sysroot, isRecorded } = this.#above;
    const known = isRecorded ? sysroot.#lstat(canonical) : sysroot.#stats.get(canonical);
    if (known !== undefined) this.#stats.set(canonical, known);
    return known;
  }

  #noteSurveyed(canonical: string): void {
    const { survey } = this.#directory;
    if (survey === undefined) return;
    this.#surveyed ??= new SurveyedPaths(survey);
    this.#surveyed.add(canonical);
  }

  #link(canonical: string, target: string, directory: string, { uid }: FileStat): FollowedLink {
    const isOurs =
      (uid === 0 || uid === process.geteuid?.()) && !(this.#view.isShared?.(directory) ?? false);
    return { path: canonical, target, last: true, ...(isOurs ? {} : { isForeign: true }) };
  }

  /**
   * Follows links created by others only to places those users can reach themselves: write access to a directory must
   * not make jailbuild read files on their behalf (compare fs.protected_symlinks, proc_sys_fs(5)).
   */
  #guarded(result: Trace | TraceFailure): Trace | TraceFailure {
    if (!isTrace(result) || !isLedByOthers(result)) return result;
    if (this.#isPublic(result, result.stat.type === 'directory' ? 0o001 : 0o004)) return result;
    return {
      errno: 'EACCES',
      at: result.links.find((link) => link.isForeign)?.path ?? result.path,
    };
  }

  /** Returns whether everyone may read what was found, or a user other than the caller created it. */
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

  /** @param depth number of components below the link followed first */
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
        // The root is its own parent and always exists.
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
      // It was a link a moment ago.
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
