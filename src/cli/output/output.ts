import { fstatSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { pathBuffer } from '../../fs/path-bytes.js';
import { writeAllSync } from '../../fs/write-all.js';

const STDOUT = 1;
const STDERR = 2;
/** /dev/null: major 1, minor 3 (null(4)). */
const NULL_DEVICE = 0x103;

/** What was written since {@link collectOutput}, until it exceeds the limit. */
let collected: { out: string; err: string } | undefined;
const MOST_COLLECTED = 1 << 24;

/** Also keeps everything that is written from now on. */
export function collectOutput(): void {
  collected = { out: '', err: '' };
}

/** Returns everything that was written, or undefined if it is too much or was not kept. */
export function collectedOutput(): { readonly out: string; readonly err: string } | undefined {
  return collected;
}

/** Keeps nothing more of what is written. */
export function dropOutput(): void {
  collected = undefined;
}

function collect(stream: 'out' | 'err', text: string): void {
  if (collected === undefined) return;
  collected[stream] += text;
  if (collected[stream].length > MOST_COLLECTED) collected = undefined;
}

/**
 * Writes to standard output. Uses the descriptor directly: creating process.stdout takes 4 ms, a
 * tenth of a small build. If the reader closes the pipe, as head(1) does, the rest is dropped and
 * the work continues.
 *
 * @throws JailbuildError WRITE_FAILED, for example for a file on a full disk
 */
export function writeOut(text: string): void {
  collect('out', text);
  try {
    write(STDOUT, text);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new JailbuildError('WRITE_FAILED', `standard output: ${strerror(error)}`);
  }
}

/** Writes to standard error; errors are ignored, since there is nowhere to report them. */
export function writeErr(text: string): void {
  collect('err', text);
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
