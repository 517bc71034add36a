import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { fromBytes, readLink, realPathOf, toBytes } from './path-bytes.js';
import { ZEROS } from './sparse-files.js';
import { writeAll } from './write-all.js';

/** Finds a path without opening the file (open(2)); Node does not define it. */
const O_PATH = 0o10000000;
const { O_CREAT, O_EXCL, O_NOCTTY, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;

const STDOUT = 1;
/** How long to wait for the other end of a full pipe or a fifo, in milliseconds. */
const PAUSE = 5;
/** The kernel follows at most this many links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;
/** The age at which another machine's draft counts as abandoned, in milliseconds. */
const ABANDONED = 24 * 60 * 60 * 1000;

/**
 * A destination for output. A regular file appears complete at `commit` or not at all; devices, fifos and descriptors
 * are written directly. All methods throw JailbuildError WRITE_FAILED.
 */
export interface OutputFile {
  /** Bytes written so far. */
  readonly size: number;
  /** Whether `patch` can replace what was written, and nothing is visible before `commit`. */
  readonly isDraft: boolean;
  readonly isTerminal: Promise<boolean>;
  append(...chunks: readonly Uint8Array[]): Promise<void>;
  /** Replaces bytes written earlier at an offset. Drafts only. */
  patch(offset: number, bytes: Uint8Array): void;
  /** Puts the file in place, a draft by one rename(2). */
  commit(): void;
  /** Abandons the output. Does nothing after `commit`. */
  discard(): void;
}

/**
 * Opens the output that a path leads to. Follows symbolic links, as tar(1) and cp(1) do, and replaces the regular file
 * they lead to, preserving its mode, and its owner where permitted. Writes nothing yet, but detects every destination
 * that cannot be written.
 *
 * @param signal ends the wait for the reader of a fifo
 * @throws JailbuildError WRITE_FAILED
 * @throws the signal's reason
 */
export async function openOutput(file: string, signal?: AbortSignal): Promise<OutputFile> {
  try {
    const descriptor = ownDescriptor(file);
    if (descriptor !== undefined) return new StreamOutput(descriptor, file, false);
    const held = openWhat(file);
    if (held === undefined) return Draft.create(file, file);
    try {
      return await openHeld(held, file, signal);
    } finally {
      closeSync(held.fd);
    }
  } catch (error) {
    throw writeFailed(file, error);
  }
}

/** Returns standard output, named `-`. */
export function standardOutput(): OutputFile {
  return new StreamOutput(STDOUT, 'standard output', false);
}

/** Returns whether a path is another name for this process's standard output, such as /dev/stdout. */
export function isStandardOutput(file: string): boolean {
  try {
    return ownDescriptor(file) === STDOUT;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** Returns whether a path leads to something written directly, such as a device or a fifo. */
export function isStream(file: string): boolean {
  try {
    if (ownDescriptor(file) !== undefined) return true;
    const stat = statSync(toBytes(file), { throwIfNoEntry: false });
    return stat !== undefined && !stat.isFile() && !stat.isDirectory();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/**
 * Opens a new file in a directory that jailbuild made, such as part of an image layout.
 *
 * @param file the destination unless `commit` names another; an existing file is replaced
 * @throws JailbuildError WRITE_FAILED
 */
export function draftFile(file: string): Draft {
  try {
    return Draft.create(file, file);
  } catch (error) {
    throw writeFailed(file, error);
  }
}

/**
 * Returns the descriptor of this process that a path names. Opening /dev/stdout again would start at the beginning of
 * the shell's file, and fails for a socket.
 */
function ownDescriptor(file: string): number | undefined {
  let at = path.resolve(file);
  for (let hops = 0; hops < MAX_LINKS; hops++) {
    const name = path.basename(at);
    let directory: string;
    try {
      directory = realPathOf(path.dirname(at));
    } catch {
      return undefined;
    }
    const own = new RegExp(`^/proc/${process.pid}/(task/\\d+/)?fd$`);
    if (own.test(directory) && /^\d+$/.test(name)) return Number(name);
    at = path.join(directory, name);
    if (!lstatSync(toBytes(at), { throwIfNoEntry: false })?.isSymbolicLink()) return undefined;
    at = path.resolve(directory, readLink(at));
  }
  return undefined;
}

interface Held {
  readonly fd: number;
  readonly stat: BigIntStats;
  /** Whether the file was just created as the target of a dangling link. */
  readonly isNew: boolean;
}

/** Opens what the kernel finds at a path, or returns undefined if nothing exists there. */
function openWhat(file: string): Held | undefined {
  const open = (isNew: boolean): Held => {
    const fd = openSync(toBytes(file), O_PATH);
    return { fd, stat: fstatSync(fd, { bigint: true }), isNew };
  };
  try {
    return open(false);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const link = lstatSync(toBytes(file), { throwIfNoEntry: false });
    if (link === undefined) return undefined;
  }
  // The kernel may refuse to follow a link in /tmp (protected_symlinks of proc_sys_fs(5)).
  closeSync(openSync(toBytes(file), O_WRONLY | O_CREAT, 0o666));
  return open(true);
}

async function openHeld(held: Held, file: string, signal?: AbortSignal): Promise<OutputFile> {
  const { fd, stat, isNew } = held;
  const magic = `/proc/self/fd/${fd}`;
  if (stat.isDirectory()) throw new JailbuildError('WRITE_FAILED', `${file}: is a directory`, file);
  if (stat.isSocket()) throw new JailbuildError('WRITE_FAILED', `${file}: is a socket`, file);
  if (stat.isFile()) {
    const real = fromBytes(readlinkSync(magic, { encoding: 'buffer' }));
    const found = lstatSync(toBytes(real), { bigint: true, throwIfNoEntry: false });
    if (found !== undefined && found.dev === stat.dev && found.ino === stat.ino) {
      return Draft.create(real, file, stat, isNew);
    }
    // It has no name any more: a process holds it open.
  }
  const out = await openForWriting(magic, stat, signal);
  return new StreamOutput(out, file, true);
}

/** Opens anything but a regular file; for a fifo, waits until it has a reader. */
async function openForWriting(
  magic: string,
  stat: BigIntStats,
  signal: AbortSignal | undefined,
): Promise<number> {
  const flags = O_WRONLY | O_NOCTTY | (stat.isFile() ? constants.O_TRUNC : O_NONBLOCK);
  for (;;) {
    signal?.throwIfAborted();
    try {
      const fd = openSync(magic, flags);
      if (!stat.isFIFO()) return fd;
      // The reader is present: a blocking descriptor avoids polling for EAGAIN.
      try {
        return openSync(magic, O_WRONLY);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENXIO' || !stat.isFIFO()) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/** An output that is written directly. */
class StreamOutput implements OutputFile {
  size = 0;
  readonly isDraft = false;
  readonly #fd: number;
  readonly #name: string;
  #isOurs: boolean;

  /** @param isOurs whether `discard` and `commit` close the descriptor */
  constructor(fd: number, name: string, isOurs: boolean) {
    this.#fd = fd;
    this.#name = name;
    this.#isOurs = isOurs;
  }

  get isTerminal(): Promise<boolean> {
    return import('node:tty').then(({ isatty }) => isatty(this.#fd));
  }

  async append(...chunks: readonly Uint8Array[]): Promise<void> {
    this.size += await writeTo(this.#fd, chunks, this.#name);
  }

  patch(): void {
    throw new Error('a stream cannot be patched');
  }

  commit(): void {
    if (!this.#isOurs) return;
    this.#isOurs = false;
    try {
      closeSync(this.#fd);
    } catch (error) {
      throw writeFailed(this.#name, error);
    }
  }

  discard(): void {
    if (this.#isOurs) closeSync(this.#fd);
    this.#isOurs = false;
  }
}

/** A regular file being written. */
export class Draft implements OutputFile {
  size = 0;
  readonly isDraft = true;
  readonly isTerminal = Promise.resolve(false);
  readonly #fd: number;
  readonly #draft: string;
  readonly #real: string;
  readonly #name: string;
  readonly #isNew: boolean;
  #isOpen = true;
  #endsInHole = false;

  private constructor(fd: number, draft: string, real: string, name: string, isNew: boolean) {
    this.#fd = fd;
    this.#draft = draft;
    this.#real = real;
    this.#name = name;
    this.#isNew = isNew;
  }

  /**
   * @param real the file's path with all links resolved
   * @param name the name used in messages
   * @param like the file that is replaced
   */
  static create(real: string, name: string, like?: BigIntStats, isNew = false): Draft {
    const directory = path.dirname(real);
    removeAbandoned(directory);
    const draft = draftPath(directory);
    const mode = like === undefined ? 0o666 : Number(like.mode & 0o777n);
    const fd = openSync(toBytes(draft), O_RDWR | O_CREAT | O_EXCL, mode);
    if (like !== undefined && !isNew) keepAccess(draft, like);
    return new Draft(fd, draft, real, name, isNew);
  }

  /** Returns the draft's path, for a program that writes it. */
  get path(): string {
    return this.#draft;
  }

  /** Appends chunks; holes in the input become holes in the draft. */
  async append(...chunks: readonly Uint8Array[]): Promise<void> {
    for (let rest = chunks; rest.length > 0; ) {
      const hole = rest.indexOf(ZEROS);
      if (hole === 0) {
        this.size += ZEROS.length;
        this.#endsInHole = true;
        rest = rest.slice(1);
        continue;
      }
      const data = hole < 0 ? rest : rest.slice(0, hole);
      this.size += await writeTo(this.#fd, data, this.#name, this.size);
      this.#endsInHole = false;
      rest = hole < 0 ? [] : rest.slice(hole);
    }
  }

  patch(offset: number, bytes: Uint8Array): void {
    try {
      writeSync(this.#fd, bytes, 0, bytes.length, offset);
    } catch (error) {
      throw writeFailed(this.#name, error);
    }
  }

  /** @param to another path on the same file system */
  commit(to = this.#real): void {
    this.#isOpen = false;
    try {
      if (this.#endsInHole) ftruncateSync(this.#fd, this.size);
      closeSync(this.#fd);
      renameSync(toBytes(this.#draft), toBytes(to));
    } catch (error) {
      this.#remove();
      throw writeFailed(this.#name, error);
    }
  }

  discard(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
    this.#remove();
  }

  #remove(): void {
    rmSync(toBytes(this.#draft), { force: true });
    if (this.#isNew) rmSync(toBytes(this.#real), { force: true });
  }
}

/** A directory that appears complete, by one rename(2), or not at all. */
export class DraftDirectory {
  readonly path: string;
  readonly #target: string;

  /** @throws JailbuildError WRITE_FAILED */
  constructor(target: string) {
    this.#target = path.resolve(target);
    const directory = path.dirname(this.#target);
    try {
      removeAbandoned(directory);
      this.path = draftPath(directory);
      mkdirSync(toBytes(this.path));
    } catch (error) {
      throw writeFailed(target, error);
    }
  }

  commit(): void {
    try {
      renameSync(toBytes(this.path), toBytes(this.#target));
    } catch (error) {
      throw writeFailed(this.#target, error);
    }
  }

  /**
   * Puts the directory in place, unless one with content has come to be there.
   *
   * @returns whether it is in place
   */
  commitUnlessThere(): boolean {
    try {
      renameSync(toBytes(this.path), toBytes(this.#target));
      return true;
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) return false;
      throw writeFailed(this.#target, error);
    }
  }

  /** Moves the files of an inner directory to where they would be in the target, which is there. */
  moveFiles(inner: string): void {
    const [from, to] = [path.join(this.path, inner), path.join(this.#target, inner)];
    try {
      mkdirSync(toBytes(to), { recursive: true });
      for (const name of readdirSync(toBytes(from), { encoding: 'buffer' }).map(fromBytes)) {
        renameSync(toBytes(path.join(from, name)), toBytes(path.join(to, name)));
      }
    } catch (error) {
      throw writeFailed(this.#target, error);
    }
  }

  discard(): void {
    rmSync(toBytes(this.path), { recursive: true, force: true });
  }
}

/** Gives a draft the owner, where permitted, and then the permission bits of the file that it replaces. */
function keepAccess(draft: string, { uid, gid, mode }: BigIntStats): void {
  try {
    chownSync(toBytes(draft), Number(uid), Number(gid));
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
  }
  chmodSync(toBytes(draft), Number(mode & 0o777n));
}

let drafts = 0;

/** Returns the name of a draft, which identifies its process so that abandoned drafts can be recognized. */
function draftPath(directory: string): string {
  return path.join(directory, `.jailbuild-${process.pid}-${system()}-${drafts++}.tmp`);
}

const DRAFT_NAME = /^\.jailbuild-(\d+)-([0-9a-f]+)-\d+\.tmp$/;

let knownSystem: string | undefined;

/** Identifies the system in which a process number is valid: this boot and this PID namespace. */
function system(): string {
  if (knownSystem === undefined) {
    try {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
      const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
      knownSystem = `${boot}${Number(namespace).toString(16)}`;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      knownSystem = '0';
    }
  }
  return knownSystem;
}

/** Removes drafts that killed processes left in a directory. */
function removeAbandoned(directory: string): void {
  try {
    const above = lstatSync(toBytes(directory));
    for (const name of readdirSync(toBytes(directory), { encoding: 'latin1' })) {
      const [, pid, where] = DRAFT_NAME.exec(name) ?? [];
      if (pid === undefined) continue;
      const at = path.join(directory, name);
      const stat = lstatSync(toBytes(at));
      if (stat.uid !== process.geteuid?.()) continue;
      const isAbandoned =
        where === system() ? !isAlive(Number(pid)) : Date.now() - stat.mtimeMs > ABANDONED;
      // Anyone who can replace the directory meanwhile could redirect the removal to another one.
      const isShared = (above.mode & 0o022) !== 0 && (above.mode & 0o1000) === 0;
      if (!isAbandoned || (stat.isDirectory() && isShared)) continue;
      rmSync(toBytes(at), { recursive: true, force: true });
    }
  } catch (error) {
    // Failing to clean up must not fail the command.
    if (errnoOf(error) === undefined) throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

/** Calls `writeAll` and converts its errors for the user. */
async function writeTo(
  fd: number,
  chunks: readonly Uint8Array[],
  name: string,
  position?: number,
): Promise<number> {
  try {
    return await writeAll(fd, chunks, position);
  } catch (error) {
    throw writeFailed(name, error);
  }
}

/** Converts a system error into one for the user. */
export function writeFailed(name: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error;
  return new JailbuildError('WRITE_FAILED', `${name}: ${strerror(error)}`, name);
}
