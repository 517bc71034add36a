import { dataPieces } from './path-strings.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** Longer program names, in characters, are not looked up by hash. */
const MAX_INDEXED = 32;
/**
 * Compilers put short strings into instructions. In larger files, in bytes, what looks like a name
 * in code is nearly always chance.
 */
const MAX_WITH_CODE = 2 << 20;
/**
 * Strings that continue after the name are commands, unless they are longer than this, in
 * characters.
 */
const MAX_COMMAND = 512;
/** The number of names that are searched for without an index. */
const MAX_SEARCHED = 12;
/** A name at the start of a command. */
const WORD = /^[a-z][a-z0-9][A-Za-z0-9._+-]{0,30}$/;
/** Words before the name with which a string is a sentence: `initiating graceful shutdown`. */
const SENTENCE = /(^|[^\w/.-])[A-Za-z]+,? [A-Za-z]+,? $/;
/** A word after the name with which a string is a sentence: `shutdown for fd %d`. */
const PROSE =
  /^ (and|are|as|at|but|by|can|cannot|error|failed|for|from|has|in|is|not|of|on|or|the|to|was|with)\b/;
/** The parts of a string beside the name that are looked at, in characters. */
const MAX_BEFORE = 64;
const MAX_AFTER = 10;
const [ZERO, SPACE, PERCENT, DASH] = [0x00, 0x20, 0x25, 0x2d];
/** FNV-1a, 32 bits (draft-eastlake-fnv). */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const NAME_BYTES = nameBytes();
/** What replaces the shell by the command behind it, at the start of a command line. */
const REPLACING = Buffer.from('\0exec ');
const EXEC = hashOf(REPLACING.subarray(1, -1));

/**
 * Returns a function that tells whether a file contains a name in its data: as the first word of a
 * zero-terminated string, also behind `exec`, or at the end of one after a character that names do not contain, after a
 * conversion, as in `%slib%sjvm.cfg`, or as a whole option, as in `--dbus-daemon`, since linkers merge
 * strings that are ends of others; not as the first or last word of a sentence. The file is read once,
 * for any number of names, and indexed for many.
 *
 * @param limit stop after this many bytes
 */
export function namesInStrings(
  source: ByteSource,
  headers: ElfHeaders,
  limit: number,
): (name: string) => boolean {
  const pieces = [...dataPieces(source, headers, limit, source.size <= MAX_WITH_CODE)];
  let hashes: Set<number> | undefined;
  let asked = 0;
  return (name) => {
    const bytes = Buffer.from(name);
    if (bytes.length === 0) return false;
    // The hashes of a file take as long as a search for many names.
    if (hashes === undefined && ++asked > MAX_SEARCHED) {
      hashes = new Set();
      for (const piece of pieces) collectHashes(piece, hashes);
    }
    if (hashes !== undefined && isIndexed(bytes) && !hashes.has(hashOf(bytes))) return false;
    return pieces.some((piece) => isIn(piece, bytes, WORD.test(name)));
  };
}

/** Collects the hashes of possible names: runs of name characters that end a string or a word. */
function collectHashes(bytes: Buffer, hashes: Set<number>): void {
  let length = 0;
  let hash = FNV_OFFSET;
  // The hash without the first character.
  let shorter = FNV_OFFSET;
  let before = ZERO;
  let isBehindExec = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    // No name begins with the dashes of an option.
    if (byte === DASH && length === 0) continue;
    if (NAME_BYTES[byte] === 1) {
      hash = Math.imul(hash ^ byte, FNV_PRIME);
      if (length++ > 0) shorter = Math.imul(shorter ^ byte, FNV_PRIME);
      continue;
    }
    if (length > 0) {
      if (byte === ZERO || (byte === SPACE && (before === ZERO || isBehindExec))) {
        if (length <= MAX_INDEXED) hashes.add(hash | 0);
        if (before === PERCENT && length <= MAX_INDEXED + 1) hashes.add(shorter | 0);
      }
      isBehindExec = byte === SPACE && before === ZERO && (hash | 0) === EXEC;
      length = 0;
      hash = FNV_OFFSET;
      shorter = FNV_OFFSET;
    }
    before = byte;
  }
}

function isIn(piece: Buffer, name: Buffer, isWord: boolean): boolean {
  for (let at = piece.indexOf(name); at >= 0; at = piece.indexOf(name, at + 1)) {
    const end = at + name.length;
    const next = piece[end];
    if (next === ZERO && (at === 0 || isBoundary(piece, at))) return true;
    if (next !== SPACE || !isWord || !startsCommand(piece, at)) continue;
    if (PROSE.test(piece.toString('latin1', end, end + MAX_AFTER))) continue;
    const close = piece.indexOf(0, end);
    if ((close < 0 ? piece.length : close) - at <= MAX_COMMAND) return true;
  }
  return false;
}

function startsCommand(piece: Buffer, at: number): boolean {
  if (at === 0 || piece[at - 1] === ZERO) return true;
  return piece.subarray(Math.max(0, at - REPLACING.length), at).equals(REPLACING);
}

function isBoundary(piece: Buffer, at: number): boolean {
  const before = piece[at - 1] ?? 0;
  if (before === SPACE) return !isSentence(piece, at);
  if (NAME_BYTES[before] !== 1) return true;
  if (before === DASH && piece[at - 2] === DASH) return at === 2 || piece[at - 3] === ZERO;
  return piece[at - 2] === PERCENT && before >= 0x61 && before <= 0x7a;
}

function isSentence(piece: Buffer, end: number): boolean {
  const near = piece.toString('latin1', Math.max(0, end - MAX_BEFORE), end);
  return SENTENCE.test(near.slice(near.lastIndexOf('\0') + 1));
}

function isIndexed(name: Buffer): boolean {
  return name.length <= MAX_INDEXED && name.every((byte) => NAME_BYTES[byte] === 1);
}

function hashOf(name: Buffer): number {
  let hash = FNV_OFFSET;
  for (const byte of name) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash | 0;
}

function nameBytes(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0; byte < table.length; byte++) {
    if (/[\w.+-]/.test(String.fromCharCode(byte))) table[byte] = 1;
  }
  return table;
}
