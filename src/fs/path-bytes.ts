import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';

/**
 * Paths are bytes, strings are not. A name that is no UTF-8 has, in a string, a lone surrogate
 * U+DC80 to U+DCFF for each byte that belongs to no character, as PEP 383 has it: such strings name
 * every path, no two the same one, and JSON writes them as `\udc80` to `\udcff`.
 */

/** What Node puts where bytes are no UTF-8. */
const REPLACEMENT = '\ufffd';
const ESCAPED_BYTE = 0xdc00;

/** A path for a system call: the string itself unless it has escaped bytes. */
export function toBytes(path: string): string | Buffer {
  return path.isWellFormed() ? path : encode(path);
}

/** The bytes of a path. */
export function pathBuffer(path: string): Buffer {
  return path.isWellFormed() ? Buffer.from(path) : encode(path);
}

/** The string for a path's bytes. */
export function fromBytes(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes(REPLACEMENT) || Buffer.from(text).equals(bytes)) return text;
  let result = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    result +=
      length === 0
        ? String.fromCharCode(ESCAPED_BYTE + (bytes[at] ?? 0))
        : bytes.toString('utf8', at, at + length);
    at += length || 1;
  }
  return result;
}

function encode(path: string): Buffer {
  const parts: Buffer[] = [];
  for (const char of path) {
    const code = char.codePointAt(0) ?? 0;
    parts.push(
      code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - ESCAPED_BYTE) : Buffer.from(char),
    );
  }
  return Buffer.concat(parts);
}

/** The length of the character at a place, 0 if there is none (RFC 3629, section 4). */
function sequenceLength(bytes: Buffer, at: number): number {
  for (const length of [1, 2, 3, 4]) {
    const part = bytes.subarray(at, at + length);
    if (part.length < length) return 0;
    const text = part.toString('utf8');
    if (Buffer.from(text).equals(part)) return length;
  }
  return 0;
}

/** The text of a symbolic link. */
export function readLink(realPath: string): string {
  const text = readlinkSync(toBytes(realPath));
  return text.includes(REPLACEMENT)
    ? fromBytes(readlinkSync(toBytes(realPath), { encoding: 'buffer' }))
    : text;
}

/** The names in a directory, in no order. */
export function listNames(realPath: string): string[] {
  const names = readdirSync(toBytes(realPath), { encoding: 'utf8' });
  return names.some((name) => name.includes(REPLACEMENT))
    ? readdirSync(toBytes(realPath), { encoding: 'buffer' }).map(fromBytes)
    : names;
}

/** A path without links: realpath(3). */
export function realPathOf(path: string): string {
  // The other realpathSync makes a string of every path.
  const real = realpathSync.native(toBytes(path), { encoding: 'utf8' });
  return real.includes(REPLACEMENT)
    ? fromBytes(realpathSync.native(toBytes(path), { encoding: 'buffer' }))
    : real;
}

/** The words of our command line behind the program and the script (proc_pid_cmdline(5)). */
export function commandLineWords(argv: readonly string[]): readonly string[] {
  if (!argv.some((word) => word.includes(REPLACEMENT))) return argv;
  const words: string[] = [];
  const bytes = readFileSync('/proc/self/cmdline');
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    words.push(fromBytes(bytes.subarray(at, end)));
    at = end + 1;
  }
  return words.slice(-argv.length);
}

/**
 * Has process.cwd(), and path.resolve() with it, name a working directory whose path is no UTF-8: Node
 * makes another path of it. One that is gone stays an error of whoever asks for it.
 */
export function keepWorkingDirectory(): void {
  try {
    if (!process.cwd().includes(REPLACEMENT)) return;
    const real = fromBytes(readlinkSync('/proc/self/cwd', { encoding: 'buffer' }));
    process.cwd = () => real;
  } catch {
    // It is not asked for by every command.
  }
}
