import { fromBytes } from '../../fs/path-bytes.js';

/**
 * The first line of a script, as Linux reads it (fs/binfmt_script.c, load_script; since Linux 5.1
 * the line may have 255 bytes).
 */
export interface Shebang {
  /** The path of the interpreter; Linux resolves a relative path from the working directory. */
  readonly interpreter: string;
  /** The rest of the line as one word: Linux does not split it. */
  readonly argument: string | undefined;
}

/** The reason why Linux cannot run a script, to follow its path. */
export interface BadShebang {
  readonly problem: string;
}

/** BINPRM_BUF_SIZE: the bytes of an executable that Linux reads (include/uapi/linux/binfmts.h). */
export const SCRIPT_START = 256;

/**
 * The maximum number of nested interpreters, up to one that is not a script (fs/exec.c,
 * exec_binprm).
 */
export const MAX_INTERPRETERS = 5;

/** Returns whether Linux considers the file a script. */
export function isScript(start: Buffer): boolean {
  return start.length >= 2 && start[0] === 0x23 && start[1] === 0x21;
}

export function isShebang(result: Shebang | BadShebang): result is Shebang {
  return 'interpreter' in result;
}

/** @param start the file's first {@link SCRIPT_START} bytes, or all if it has fewer */
export function parseShebang(start: Buffer): Shebang | BadShebang {
  // Linux pads a short file with zero bytes and treats the last byte as a terminator.
  const buffer = Buffer.alloc(SCRIPT_START);
  start.copy(buffer, 0, 0, SCRIPT_START);
  const last = SCRIPT_START - 1;

  let end = buffer.indexOf('\n');
  if (end < 0) {
    const name = nextNonBlank(buffer, 2, last);
    if (name === undefined) return { problem: 'its first line names no interpreter' };
    if (nextTerminator(buffer, name, last) === undefined) {
      return { problem: `its first line is longer than the ${last} bytes that Linux reads` };
    }
    end = last;
  }
  while (isBlank(buffer[end - 1])) end--;
  const name = nextNonBlank(buffer, 2, end);
  if (name === undefined || name === end) return { problem: 'its first line names no interpreter' };
  const stop = nextTerminator(buffer, name, end);
  // A zero byte ends the name and the line.
  const arg =
    stop === undefined || buffer[stop] === 0 ? undefined : nextNonBlank(buffer, stop, end);
  const interpreter = text(buffer, name, stop ?? end);
  if (interpreter === '') return { problem: 'its first line names no interpreter' };
  const argument = arg === undefined || arg === end ? undefined : text(buffer, arg, end);
  return { interpreter, argument };
}

/** Returns the string from `from` up to `to`, or to a zero byte before it. */
function text(buffer: Buffer, from: number, to: number): string {
  const zero = buffer.indexOf(0, from);
  return fromBytes(buffer.subarray(from, zero < 0 ? to : Math.min(zero, to)));
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}

/** Returns the first byte from `first` to `last`, both inclusive, that is neither space nor tab. */
function nextNonBlank(buffer: Buffer, first: number, last: number): number | undefined {
  for (let at = first; at <= last; at++) if (!isBlank(buffer[at])) return at;
  return undefined;
}

/** Returns the first space, tab or zero byte from `first` to `last`, both inclusive. */
function nextTerminator(buffer: Buffer, first: number, last: number): number | undefined {
  for (let at = first; at <= last; at++) if (isBlank(buffer[at]) || buffer[at] === 0) return at;
  return undefined;
}
