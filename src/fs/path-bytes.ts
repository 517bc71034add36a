import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';

/**
 * Represents paths, which are bytes, as strings. Each byte that is not valid UTF-8 becomes a lone surrogate U+DC80 to
 * U+DCFF (PEP 383). Every path has exactly one such string, and JSON writes the surrogates as `\udc80` to `\udcff`.
 */

/** The character Node substitutes for bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd';
const ESCAPED_BYTE = 0xdc00;

/** Returns a path for a system call: the string itself unless it has escaped bytes. */
export function toBytes(path: string): string | Buffer {
  return path.isWellFormed() ? path : encode(path);
}

/** Returns the bytes of a path. */
export function pathBuffer(path: string): Buffer {
  return path.isWellFormed() ? Buffer.from(path) : encode(path);
}

/** Returns the string for a path's bytes. */
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

/** Returns the length in bytes of the UTF-8 sequence at an offset, 0 if invalid (RFC 3629, section 4). */
function sequenceLength(bytes: Buffer, at: number): number {
  for (const length of [1, 2, 3, 4]) {
    const part = bytes.subarray(at, at + length);
    if (part.length < length) return 0;
    const text = part.toString('utf8');
    if (Buffer.from(text).equals(part)) return length;
  }
  return 0;
}

/** Returns the target of a symbolic link. */
export function readLink(realPath: string): string {
  const text = readlinkSync(toBytes(realPath));
  return text.includes(REPLACEMENT)
    ? fromBytes(readlinkSync(toBytes(realPath), { encoding: 'buffer' }))
    : text;
}

/** Returns the unsorted names in a directory. */
export function listNames(realPath: string): string[] {
  const names = readdirSync(toBytes(realPath), { encoding: 'utf8' });
  return names.some((name) => name.includes(REPLACEMENT))
    ? readdirSync(toBytes(realPath), { encoding: 'buffer' }).map(fromBytes)
    : names;
}

/** Resolves all links of a path: realpath(3). */
export function realPathOf(path: string): string {
  // The other realpathSync decodes every path to a string.
  const real = realpathSync.native(toBytes(path), { encoding: 'utf8' });
  return real.includes(REPLACEMENT)
    ? fromBytes(realpathSync.native(toBytes(path), { encoding: 'buffer' }))
    : real;
}

/** Returns the arguments of this process after the program and the script (proc_pid_cmdline(5)). */
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
 * Makes process.cwd(), and so path.resolve(), correct for a working directory whose path is not UTF-8, which Node would
 * decode to a different path. A deleted one still causes an error where it is used.
 */
export function keepWorkingDirectory(): void {
  try {
    if (!process.cwd().includes(REPLACEMENT)) return;
    const real = fromBytes(readlinkSync('/proc/self/cwd', { encoding: 'buffer' }));
    process.cwd = () => real;
  } catch {
    // Not every command needs it.
  }
}
