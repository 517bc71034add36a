import { JailbuildError } from '../errors.js';
import { baseName } from '../text/base-name.js';
import { dynamicStrings, type FileRange } from './dynamic.js';
import { readSections, type Section } from './sections.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** Segments are read in pieces of this size. */
const PIECE = 4 << 20;
/** Overlap between pieces, so that strings at a boundary are seen whole. */
const MAX_STRING = 512;
/** Matches an absolute path, rather than a format, option or comment. */
const PATH = /^(?:\/[A-Za-z0-9._+@,=~-]+){1,40}\/?$/;
/** Matches a path from a program's directory: `../lib/sbcl`. */
const RELATIVE = /\0(\.\.\/(?:lib|libexec|share)(?:\/[A-Za-z0-9._+-]+){1,10})\/?(?=\0)/g;

/** Matches what precedes a slash within a path, or behind a variable part. */
const NO_START = /[\w.+~/)}\]>*%-]/;
/** Directories of installed files. */
const INSTALLED = ['/usr/', '/etc/', '/opt/'] as const;
/** Matches a path within a string, without punctuation at its end. */
const INNER = /(?:\/[A-Za-z0-9_](?:[A-Za-z0-9._+-]*[A-Za-z0-9_+])?){2,40}/y;

/** What the strings in a program's data name. */
export interface DataStrings {
  /**
   * Absolute paths: whole strings, the members of lists with colons, semicolons or commas, the
   * directories of formats such as `/usr/share/zoneinfo/%s`, and paths of installed files within
   * strings, but for search paths that begin with `.`; and paths from the file's directory such as
   * `../share/NAME`.
   */
  readonly paths: readonly string[];
  /** Those of the paths by which one file is searched for in several directories. */
  readonly searched: readonly string[];
  /** First words of strings that look like command lines: `sort -u -f`. */
  readonly commands: readonly string[];
}

/**
 * Returns what the zero-terminated strings in the loaded part of a file name.
 *
 * @param limit stop after this many bytes
 */
export function dataStrings(source: ByteSource, headers: ElfHeaders, limit: number): DataStrings {
  const paths = new Set<string>();
  const commands = new Set<string>();
  const searched = new Set<string>();
  for (const bytes of dataPieces(source, headers, limit, false)) {
    // Searching one string is faster than many searches in bytes, most of which are zero.
    const text = asText(bytes);
    collectPaths(text, paths, searched);
    collectCommands(text, commands);
  }
  return { paths: [...paths], searched: [...searched], commands: [...commands] };
}

/**
 * Reads the loaded part of a file in pieces.
 *
 * @param limit stop after this many bytes
 * @param withCode include machine code that has a segment of its own, as with today's linkers:
 *   compilers put short strings into instructions
 * @param skipped ranges to leave out
 */
export function* loadedPieces(
  source: ByteSource,
  headers: ElfHeaders,
  limit: number,
  withCode: boolean,
  skipped: readonly FileRange[] = [],
): Generator<Buffer> {
  let left = limit;
  for (const { type, offset, filesz, isExecutable } of headers.segments) {
    // An executable segment that begins with the headers also contains the constants.
    if (type !== 'load' || (!withCode && isExecutable && offset > 0)) continue;
    const segment = { start: offset, end: Math.min(offset + filesz, source.size) };
    const kept = skipped.reduce(
      (parts, range) => parts.flatMap((part) => without(part, range)),
      [segment],
    );
    for (const { start, end } of kept) {
      for (let at = start; at < end && left > 0; at += PIECE) {
        const bytes = source.read(at, Math.min(PIECE + MAX_STRING, end - at));
        left -= bytes.length;
        yield bytes;
      }
    }
  }
}

function without(range: FileRange, skipped: FileRange): FileRange[] {
  if (skipped.end <= range.start || skipped.start >= range.end) return [range];
  return [
    { start: range.start, end: skipped.start },
    { start: skipped.end, end: range.end },
  ];
}

/**
 * Reads the data of a file in pieces: its loaded part without the dynamic string table, whose words are
 * symbols such as `kill`, and whose paths are for the loader; and, if everything is in one segment, as with
 * gold, without its code and tables, which can be larger than the limit.
 *
 * @param limit stop after this many bytes
 * @param withCode as for {@link loadedPieces}
 */
export function dataPieces(
  source: ByteSource,
  headers: ElfHeaders,
  limit: number,
  withCode: boolean,
): Generator<Buffer> {
  const strings = dynamicStrings(source, headers);
  const skipped = strings === undefined ? [] : [strings];
  if (!withCode && hasCodeWithData(source, headers, limit))
    skipped.push(...codeAndTables(source, headers));
  return loadedPieces(source, headers, limit, withCode, skipped);
}

/** Returns whether code in the first segment hides data beyond the limit. */
function hasCodeWithData({ size }: ByteSource, { segments }: ElfHeaders, limit: number): boolean {
  return (
    size > limit &&
    segments.some(
      ({ type, offset, isExecutable }) => type === 'load' && offset === 0 && isExecutable,
    )
  );
}

const SHF_EXECINSTR = 4;
/** SHT_SYMTAB, SHT_RELA, SHT_HASH, SHT_REL, SHT_DYNSYM, SHT_GNU_HASH and SHT_GNU_versym. */
const TABLES: ReadonlySet<number> = new Set([2, 4, 5, 9, 11, 0x6fff_fff6, 0x6fff_ffff]);

/** Returns the ranges of machine code and symbol tables; none for a file without section headers. */
function codeAndTables(source: ByteSource, headers: ElfHeaders): FileRange[] {
  let sections: Section[];
  try {
    sections = readSections(source, headers);
  } catch (error) {
    // The loader does not need section headers.
    if (!(error instanceof JailbuildError)) throw error;
    return [];
  }
  return sections
    .filter(({ type, flags }) => (flags & SHF_EXECINSTR) !== 0 || TABLES.has(type))
    .map(({ offset, size }) => ({ start: offset, end: offset + size }));
}

function collectPaths(text: string, paths: Set<string>, searched: Set<string>): void {
  // A search that begins with a zero stops at most bytes.
  if (text.includes('../')) {
    for (const [, name = ''] of text.matchAll(RELATIVE)) paths.add(name);
  }
  for (let at = text.indexOf('/', 1); at > 0; at = text.indexOf('/', at + 1)) {
    if (!isLetter(text.charCodeAt(at + 1))) continue;
    if (text.charCodeAt(at - 1) !== 0) {
      if (isUsersPath(text, at)) continue;
      const inner = innerPath(text, at);
      if (inner !== undefined) paths.add(inner);
      continue;
    }
    const end = text.indexOf('\0', at);
    if (end < 0) return;
    if (end - at > MAX_STRING || end - at < MIN_STRING) continue;
    const parts = text.slice(at, end).split(SEPARATOR).map(pathOf);
    for (const part of parts) if (part !== undefined) paths.add(part);
    if (parts.length > 1) for (const file of filesSearched(parts)) searched.add(file);
  }
}

/** Separates the members of a list of paths. */
const SEPARATOR = /[:;]|,(?=\/)/;

/** Returns a path without what follows its directory if this is a conversion. */
function pathOf(string: string): string | undefined {
  const cut = string.indexOf('%');
  const whole = cut < 0 ? string : string.slice(0, string.lastIndexOf('/', cut));
  const single = whole.replaceAll(/\/{2,}/g, '/');
  return PATH.test(single) ? single.replace(/\/$/, '') : undefined;
}

/** Returns the members of a list that is of one file name in several directories. */
function filesSearched(parts: readonly (string | undefined)[]): string[] {
  const whole = parts.filter((part) => part !== undefined);
  const names = new Set(whole.map((part) => baseName(part)));
  return whole.length === parts.length && names.size === 1 ? whole : [];
}

/**
 * Returns the path that begins at a slash within a string, if it is one of what systems install:
 * `Master Cookie:/usr/lib/pike8.0/master.pike`, `-I/usr/include`. Data such as numbers may also precede a
 * string without a zero between them.
 */
function innerPath(text: string, at: number): string | undefined {
  if (!INSTALLED.some((top) => text.startsWith(top, at)) || NO_START.test(text.charAt(at - 1)))
    return undefined;
  INNER.lastIndex = at;
  const [path] = INNER.exec(text) ?? [];
  if (path === undefined || path.length > MAX_STRING) return undefined;
  return text.charAt(INNER.lastIndex) === '%' ? path.slice(0, path.lastIndexOf('/')) : path;
}

/** Returns whether a path is in a search path that begins with the current directory, for the user's files. */
function isUsersPath(text: string, at: number): boolean {
  return text.charAt(at - 1) === ':' && text.startsWith('.:', text.lastIndexOf('\0', at) + 1);
}

/** Returns bytes as text in which a string at the start, as in most libraries, is seen as others. */
function asText(bytes: Buffer): string {
  return `\0${bytes.toString('latin1')}`;
}

function isLetter(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}

/** Shorter paths, such as `/usr`, are of no use. */
const MIN_STRING = 6;

/** A command line with an option, as passed to system(3): its first word, and what follows. */
const FIRST_WORD = /\0(?:exec )?([a-z][a-z0-9_.+-]{1,20})$/;
const OPTIONS = /^-[A-Za-z-][^\0\n]{0,80}\0/;
/** What these match is not longer, in characters. */
const [MAX_WORD, MAX_OPTIONS] = [27, 83];

function collectCommands(text: string, names: Set<string>): void {
  for (let at = text.indexOf(' -'); at >= 0; at = text.indexOf(' -', at + 1)) {
    const [, name] = FIRST_WORD.exec(text.slice(Math.max(0, at - MAX_WORD), at)) ?? [];
    if (name !== undefined && OPTIONS.test(text.slice(at + 1, at + 1 + MAX_OPTIONS)))
      names.add(name);
  }
}
