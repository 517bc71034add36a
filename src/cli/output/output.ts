import { fstatSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { pathBuffer } from '../../fs/path-bytes.js';
import { writeAllSync } from '../../fs/write-all.js';

const STDOUT = 1;
const STDERR = 2;
/** /dev/null: major 1, minor 3 (null(4)). */
const NULL_DEVICE = 0x103;

/**
 * Writes to standard output. Uses the descriptor directly: creating process.stdout takes 4 ms, a
 * tenth of a small build. If the reader closes the pipe, as head(1) does, the rest is dropped and
 * the work continues.
 *
 * @throws JailbuildError WRITE_FAILED, for example for a file on a full disk
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

/** Returns whether standard output is a terminal. */
export async function outputIsTerminal(): Promise<boolean> {
  try {
    // It is usually a pipe, a file or /dev/null, for which node:tty need not be loaded.
    const found = fstatSync(STDOUT);
    if (!found.isCharacterDevice() || found.rdev === NULL_DEVICE) return false;
  } catch {
    return false;
  }
  return (await import('node:tty')).isatty(STDOUT);
}

/** Returns whether standard output is a terminal that can move the cursor: any but a `dumb` one. */
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
