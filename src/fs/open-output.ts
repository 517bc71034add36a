import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../errors.js';
import { Draft } from './draft.js';
import type { OutputFile } from './output-file.js';
import { fromBytes, readLink, realPathOf, toBytes } from './path-bytes.js';
import { StreamOutput } from './stream-output.js';
import { writeFailed } from './write-failed.js';

/** Finds a path without opening the file (open(2)); Node does not define it. */
const O_PATH = 0o10000000;
const { O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;

const STDOUT = 1;
/** How long to wait for the other end of a full pipe or a fifo, in milliseconds. */
const PAUSE = 5;
/** The kernel follows at most this many links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;

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
