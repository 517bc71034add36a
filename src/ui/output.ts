import { fstatSync, writeSync } from 'node:fs';
import { errnoOf } from '../errors.js';

const STDOUT = 1;
const STDERR = 2;
/** /dev/null: major 1, minor 3 (null(4)). */
const NULL_DEVICE = 0x103;
/** How long to wait for the reader of a full non-blocking pipe, in milliseconds. */
const FULL_PIPE_PAUSE = 5;

/**
 * Writes to standard output. Goes to the descriptor itself: process.stdout costs 4 ms to make, a
 * tenth of the main job. When a reader has seen enough, as head(1), the rest is dropped: the work
 * itself goes on.
 */
export function writeOut(text: string): void {
  write(STDOUT, text);
}

/** Writes to standard error. */
export function writeErr(text: string): void {
  write(STDERR, text);
}

/** True if standard output is a terminal. */
export async function outputIsTerminal(): Promise<boolean> {
  try {
    // Most often it is a pipe, a file or /dev/null, and node:tty need not be loaded.
    const found = fstatSync(STDOUT);
    if (!found.isCharacterDevice() || found.rdev === NULL_DEVICE) return false;
  } catch {
    return false;
  }
  return (await import('node:tty')).isatty(STDOUT);
}

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      switch (errnoOf(error)) {
        case 'EAGAIN':
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE);
          break;
        case 'EPIPE':
          return;
        default:
          throw error;
      }
    }
  }
}
