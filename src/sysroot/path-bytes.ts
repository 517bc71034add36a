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

/** Whether a string that Node made of a name may stand for other bytes than its own. */
export function isDoubtful(name: string): boolean {
  return name.includes(REPLACEMENT);
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
