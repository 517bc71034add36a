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

/** Opens a path component without reading it (open(2)); Node does not define it. */
const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** If the file was replaced by a link or a fifo meanwhile, neither follow the link nor wait for a writer. */
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/** Maximum number of directories held at once; deeper trees are walked again. */
const MAX_HELD = 64;

/** Maximum number of trees holding directories at once; the oldest gives up its own for another. */
const MAX_HOLDERS = 8;

interface HeldDirectory {
  readonly path: string;
  readonly fd: number;
}

/** Directories held by each tree, oldest tree first. */
const holders = new Set<HeldDirectory[]>();

/**
 * Reads a tree that others may change meanwhile, and follows no symbolic link in it: replacing a directory by a link to
 * `/` exposes nothing of the host.
 *
 *  On the host itself, where only root and the caller can rename anything on the way, a path is as safe as a descriptor
 * and is used. Any other tree may be a jail, whose own root can rename anything in it. There, and below the first
 * directory that others control, each component is opened relative to the one before through /proc/self/fd (proc(5)),
 * as openat2(2) does with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. Node has no openat2, and a helper program would cost
 * more than this: the chain to the last directory is kept open.
 *
 *  All paths start with a slash and contain no links before the last component. All methods throw system errors,
 * ENOTDIR or ELOOP for a component that has become a link.
 */
export class HeldTree {
  readonly #root: string;
  readonly #trusted = new Map<string, boolean>();
  /** Open directories on the way to the last one, from the first whose path cannot be trusted. */
  readonly #held: HeldDirectory[] = [];

  /** @param root the tree's real path with all links resolved; '' for `/` */
  constructor(root: string) {
    this.#root = root === '/' ? '' : root;
  }

  /** Opens a file for reading, refusing links, without waiting for the other end of a fifo. */
  open(inside: string): number {
    return openSync(toBytes(this.#at(inside)), READ);
  }

  /** Returns the attributes at a path, or undefined if nothing exists there. */
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

  /** As `lstat`; also undefined if a component on the way is no longer a directory. */
  find(inside: string): BigIntStats | undefined {
    try {
      return this.lstat(inside);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** Returns the unsorted names in a directory. */
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

  /** Returns the target of a symbolic link. */
  readlink(inside: string): string {
    return fromBytes(readlinkSync(toBytes(this.#at(inside)), { encoding: 'buffer' }));
  }

  /** As `readlink`; returns '' if it is no longer a link. */
  targetOf(inside: string): string {
    try {
      return this.readlink(inside);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return '';
    }
  }

  /** Returns whether users other than root and the caller can replace a directory or its entries. */
  isShared(directory: string): boolean {
    return !this.#isTrusted(directory === '/' ? this.#root : this.#root + directory);
  }

  /** Closes all held directories. The tree can be used again. */
  close(): void {
    letGo(this.#held, 0);
  }

  /** Returns a path for system calls that reaches a path of the tree without following links. */
  #at(inside: string): string {
    const path = inside === '/' ? this.#root : this.#root + inside;
    const cut = path.lastIndexOf('/');
    const parent = path.slice(0, cut);
    return this.#isFixed(parent) ? path || '/' : `${this.#hold(parent)}/${path.slice(cut + 1)}`;
  }

  /**
   * Returns whether only root and the caller can replace a directory or its entries. In a sticky directory, others can
   * rename only their own entries (rename(2)).
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

  /** Returns whether a directory's path cannot be redirected meanwhile. */
  #isFixed(directory: string): boolean {
    const isOfTree = this.#root !== '' && directory.length > this.#root.length;
    return (!isOfTree || !isProcMounted()) && this.#isTrusted(directory);
  }

  /** Opens a directory component by component and keeps the chain. */
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

  /** The root itself is fixed, whoever owns it: in a user namespace, often none of its users. */
  #fixedPart(directory: string): string {
    let at = directory;
    while (at !== '' && !this.#isFixed(at)) at = at.slice(0, at.lastIndexOf('/'));
    return at;
  }
}

function letGo(held: HeldDirectory[], from: number): void {
  for (const { fd } of held.splice(Math.max(from, 0))) closeSync(fd);
  if (held.length === 0) holders.delete(held);
}

/**
 * Closes the directories held by all trees, at the end of a job: a file system with an open directory cannot be
 * unmounted. Trees still in use reopen what they need.
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
