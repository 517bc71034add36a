import {
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readlinkSync,
} from 'node:fs';
import { errnoOf, JailbuildError } from '../errors.js';
import { fromBytes, listNames, toBytes } from './path-bytes.js';

/** Opens without reading: what only leads further (open(2)); Node has no name for it. */
const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** Of what has become a link or a fifo meanwhile, neither another file is read nor a writer awaited. */
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/** Directories that are held at once; of a deeper tree the way is walked anew. */
const MAX_HELD = 64;

/** Trees that hold directories at once: the one that began first gives its own up for another. */
const MAX_HOLDERS = 8;

interface HeldDirectory {
  readonly path: string;
  readonly fd: number;
}

/** What trees hold, in the order in which they began. */
const holders = new Set<HeldDirectory[]>();

/**
 * Reads a tree that others may change meanwhile, and follows no symbolic link in it: somebody who
 * exchanges a directory for a link to `/` makes nothing of the host appear in it.
 *
 * Of the host itself, where none but root and the caller can rename anything on the way, a path is as good
 * as a descriptor and is taken. Any other tree may be a jail's, whose own root can rename all that is in
 * it. There, and below the first directory of others, each component is opened in the one before, by way
 * of /proc/self/fd (proc(5)), as openat2(2) does with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. Node
 * has no openat2, and asking another program costs more than it: the way to the last directory is kept.
 *
 * All paths start with a slash and have no links on the way. All methods throw the system's errors,
 * ENOTDIR or ELOOP for a component that has become a link.
 */
export class HeldTree {
  readonly #root: string;
  readonly #trusted = new Map<string, boolean>();
  /** The way to the last directory, from the first whose path is not enough on. */
  readonly #held: HeldDirectory[] = [];

  /** @param root the tree's real path, without links; '' for `/` */
  constructor(root: string) {
    this.#root = root === '/' ? '' : root;
  }

  /** Opens a file for reading, which is not a link, without waiting for the other end of a fifo. */
  open(inside: string): number {
    return openSync(toBytes(this.#at(inside)), READ);
  }

  /** What is at a path; undefined if nothing is. */
  lstat(inside: string): BigIntStats | undefined {
    let at: string;
    try {
      at = this.#at(inside);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
    return lstatSync(toBytes(at), { bigint: true, throwIfNoEntry: false });
  }

  /** The same; nothing is where the way is no longer one of directories. */
  find(inside: string): BigIntStats | undefined {
    try {
      return this.lstat(inside);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** The names in a directory, in no order. */
  names(inside: string): string[] {
    const path = this.#root + (inside === '/' ? '' : inside);
    if (this.#isFixed(path)) return listNames(path || '/');
    const fd = openSync(toBytes(this.#at(inside)), READ | O_DIRECTORY);
    try {
      return listNames(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }

  /** The text of a symbolic link. */
  readlink(inside: string): string {
    return fromBytes(readlinkSync(toBytes(this.#at(inside)), { encoding: 'buffer' }));
  }

  /** The same; '', which no link has, for what is no longer one. */
  targetOf(inside: string): string {
    try {
      return this.readlink(inside);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return '';
    }
  }

  /**
   * Whether others than root and the caller can put something else in the place of a directory, or of
   * what is in it.
   */
  isShared(directory: string): boolean {
    return !this.#isTrusted(directory === '/' ? this.#root : this.#root + directory);
  }

  /** Gives up what is held. The tree can be used again. */
  close(): void {
    letGo(this.#held, 0);
  }

  /** A path for system calls that leads to what is at a path of the tree, and through no link. */
  #at(inside: string): string {
    const path = inside === '/' ? this.#root : this.#root + inside;
    const cut = path.lastIndexOf('/');
    const parent = path.slice(0, cut);
    return this.#isFixed(parent) ? path || '/' : `${this.#hold(parent)}/${path.slice(cut + 1)}`;
  }

  /**
   * Whether none but root and the caller can put something else in the place of a directory, or of what
   * is in it: in a sticky one, others rename only what is theirs (rename(2)).
   */
  #isTrusted(directory: string): boolean {
    const known = this.#trusted.get(directory);
    if (known !== undefined) return known;
    const isTrusted =
      (directory === '' || this.#isTrusted(directory.slice(0, directory.lastIndexOf('/')))) &&
      isClosed(lstatSync(toBytes(directory || '/'), { throwIfNoEntry: false }));
    this.#trusted.set(directory, isTrusted);
    return isTrusted;
  }

  /** Whether the path of a directory leads nowhere else meanwhile. */
  #isFixed(directory: string): boolean {
    const isOfTree = this.#root !== '' && directory.length > this.#root.length;
    return (!isOfTree || !isProcMounted()) && this.#isTrusted(directory);
  }

  /** Opens a directory component after component, and keeps the way. */
  #hold(directory: string): string {
    while (!isAtOrBelow(directory, this.#held.at(-1)?.path))
      letGo(this.#held, this.#held.length - 1);
    let at = this.#held.at(-1)?.path ?? this.#fixedPart(directory);
    let magic = this.#held.length === 0 ? at : `/proc/self/fd/${this.#held.at(-1)?.fd}`;
    if (this.#held.length === 0) {
      refuseWithoutProc(directory);
      makeRoom();
      holders.add(this.#held);
    }
    while (at !== directory) {
      const end = directory.indexOf('/', at.length + 1);
      const next = end < 0 ? directory : directory.slice(0, end);
      const name = next.slice(at.length + 1);
      const fd = openSync(toBytes(`${magic}/${name}`), O_PATH | O_DIRECTORY | O_NOFOLLOW);
      const isFull = this.#held.length === MAX_HELD;
      const last = isFull ? this.#held.pop() : undefined;
      this.#held.push({ path: next, fd });
      if (last !== undefined) closeSync(last.fd);
      at = next;
      magic = `/proc/self/fd/${fd}`;
    }
    return magic;
  }

  #fixedPart(directory: string): string {
    let at = directory;
    while (!this.#isFixed(at)) at = at.slice(0, at.lastIndexOf('/'));
    return at;
  }
}

function letGo(held: HeldDirectory[], from: number): void {
  for (const { fd } of held.splice(Math.max(from, 0))) closeSync(fd);
  if (held.length === 0) holders.delete(held);
}

/**
 * Gives up what all trees hold, at the end of a job: a file system with an open directory cannot be
 * unmounted. A tree that is still used opens what it needs again.
 */
export function releaseTrees(): void {
  for (const held of holders) letGo(held, 0);
}

/** Closed descriptors are reopened on demand; none is in use between two calls. */
function makeRoom(): void {
  const [oldest] = holders;
  if (oldest !== undefined && holders.size >= MAX_HOLDERS) letGo(oldest, 0);
}

function isAtOrBelow(directory: string, above: string | undefined): boolean {
  return above === undefined || directory === above || directory.startsWith(`${above}/`);
}

function isClosed(
  stat: { isDirectory(): boolean; readonly uid: number; readonly mode: number } | undefined,
): boolean {
  if (stat === undefined || !stat.isDirectory()) return false;
  const isOurs = stat.uid === 0 || stat.uid === process.geteuid?.();
  return isOurs && ((stat.mode & 0o022) === 0 || (stat.mode & 0o1000) !== 0);
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

let hasProc: boolean | undefined;

function isProcMounted(): boolean {
  hasProc ??= existsSync('/proc/self/fd');
  return hasProc;
}

/** @throws JailbuildError NOT_READABLE */
function refuseWithoutProc(directory: string): void {
  if (isProcMounted()) return;
  throw new JailbuildError(
    'NOT_READABLE',
    `${directory}: others can write to it or to a directory above, and it cannot be held open without /proc: mount /proc`,
    directory,
  );
}
