import { fstatSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { pathBuffer } from '../../fs/path-bytes.js';
import { writeAllSync } from '../../fs/write-all.js';

const STDOUT = 1;
const STDERR = 2;
/** /dev/null: major 1, minor 3 (null(4)). */
const NULL_DEVICE = 0x103;

/**
 * Writes to standard output. Goes to the descriptor itself: process.stdout costs 4 ms to make, a
 * tenth of the main job. When a reader has seen enough, as head(1), the rest is dropped: the work
 * itself goes on.
 *
 * @throws JailbuildError WRITE_FAILED, as where it is a file on a full disk
 */
export function writeOut(text: string): void {
  try {
    write(STDOUT, text);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new JailbuildError('WRITE_FAILED', `standard output: ${strerror(error)}`);
  }
}

/** Writes to standard error; errors are ignored, since there is nowhere to report them. */
export function writeErr(text: string): void {
  try {
    write(STDERR, text);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
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

/** True if standard output is a terminal on which one can move about, as any but a `dumb` one. */
export async function outputIsScreen(): Promise<boolean> {
  return process.env.TERM !== 'dumb' && (await outputIsTerminal());
}

function write(fd: number, text: string): void {
  try {
    writeAllSync(fd, pathBuffer(text));
  } catch (error) {
    if (errnoOf(error) !== 'EPIPE') throw error;
  }
}
