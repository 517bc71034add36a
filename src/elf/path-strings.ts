import type { ByteSource, ElfHeaders } from './types.js';

/** Segments are read in pieces of this size. */
const PIECE = 4 << 20;
/** Overlap between pieces, so that strings at a boundary are seen whole. */
const MAX_STRING = 512;
/** What counts as an absolute path: no format, no option, no comment. */
const PATH = /^(?:\/[A-Za-z0-9._+@,=~-]+){1,40}\/?$/;

/** What counts as a program's name: a word without a slash. */
const WORD = /^[a-z][a-z0-9][A-Za-z0-9._+-]{0,30}$/;

/**
 * Returns the absolute paths among the zero-terminated strings of what is loaded of a file: whole
 * strings, the parts of lists with colons, and of formats, as `/usr/share/zoneinfo/%s`, the directory.
 *
 * @param limit stop after so many bytes
 */
export function pathStrings(source: ByteSource, headers: ElfHeaders, limit: number): Set<string> {
  const paths = new Set<string>();
  for (const bytes of loadedPieces(source, headers, limit)) collectPaths(bytes, paths);
  return paths;
}

/**
 * Returns the first words of zero-terminated strings of what is loaded of a file that may be names of
 * programs.
 *
 * @param limit stop after so many bytes
 */
export function wordStrings(source: ByteSource, headers: ElfHeaders, limit: number): Set<string> {
  const words = new Set<string>();
  for (const bytes of loadedPieces(source, headers, limit)) {
    for (const text of bytes.toString('latin1').split('\0')) {
      if (text.length > MAX_STRING) continue;
      const [word = ''] = text.split(' ', 1);
      if (WORD.test(word)) words.add(word);
    }
  }
  return words;
}

function* loadedPieces(source: ByteSource, headers: ElfHeaders, limit: number): Generator<Buffer> {
  let left = limit;
  for (const { type, offset, filesz } of headers.segments) {
    if (type !== 'load') continue;
    const end = Math.min(offset + filesz, source.size);
    for (let at = offset; at < end && left > 0; at += PIECE) {
      const bytes = source.read(at, Math.min(PIECE + MAX_STRING, end - at));
      left -= bytes.length;
      yield bytes;
    }
  }
}

function collectPaths(bytes: Buffer, paths: Set<string>): void {
  // Searching one string is faster than many searches in bytes, most of which are zero.
  const text = bytes.toString('latin1');
  for (let at = text.indexOf('/', 1); at > 0; at = text.indexOf('/', at + 1)) {
    if (text.charCodeAt(at - 1) !== 0 || !isLetter(text.charCodeAt(at + 1))) continue;
    const end = text.indexOf('\0', at);
    if (end < 0) return;
    if (end - at > MAX_STRING || end - at < MIN_STRING) continue;
    for (const part of text.slice(at, end).split(':')) {
      const cut = part.indexOf('%');
      const whole = cut < 0 ? part : part.slice(0, part.lastIndexOf('/', cut));
      if (PATH.test(whole)) paths.add(whole.replace(/\/$/, ''));
    }
  }
}

function isLetter(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}

/** `/usr` and shorter paths are of no use. */
const MIN_STRING = 6;
