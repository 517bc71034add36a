import { JailbuildError } from '../errors.js';
import { fieldReader } from './fields.js';
import { malformed } from './malformed.js';
import { isInFile, type Section, sectionsOfType } from './sections.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** One note (gABI chapter 5, "Note Section"). */
export interface Note {
  /** The namespace of the type: `GNU`, `FDO`. */
  readonly owner: string;
  readonly type: number;
  readonly description: Buffer;
}

/** How important it is for a program to find a library that it opens at run time. */
export type DlopenPriority = 'required' | 'recommended' | 'suggested';

/** Libraries that a program tries in turn at run time, for one feature. */
export interface DlopenNeed {
  readonly sonames: readonly string[];
  readonly priority: DlopenPriority;
  readonly feature: string | undefined;
  readonly description: string | undefined;
}

/** The maximum size of notes in bytes; real ones are small. */
const MAX_NOTES = 1 << 20;
const SHT_NOTE = 7;

const GNU = 'GNU';
const FDO = 'FDO';
const NT_GNU_BUILD_ID = 3;
/** systemd's "Package Metadata for Executable Files" (ELF_PACKAGE_METADATA). */
const NT_FDO_PACKAGING_METADATA = 0xcafe1a7e;
/** systemd's "ELF dlopen metadata" (ELF_DLOPEN_METADATA). */
const NT_FDO_DLOPEN_METADATA = 0x407c0c0a;

/**
 * Returns the notes of PT_NOTE segments and of note sections outside of any segment, which objcopy
 * adds.
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function readNotes(source: ByteSource, headers: ElfHeaders): Note[] {
  const notes: Note[] = [];
  const ranges = headers.segments
    .filter(({ type }) => type === 'note')
    .map(({ offset, filesz }) => ({ offset, size: filesz, field: 'PT_NOTE' }));
  for (const { offset, size } of noteSections(source, headers)) {
    const isKnown = ranges.some(
      (range) => range.offset <= offset && offset + size <= range.offset + range.size,
    );
    if (!isKnown) ranges.push({ offset, size, field: 'SHT_NOTE' });
  }
  for (const range of ranges) notes.push(...notesIn(source, headers, range));
  return notes;
}

/**
 * Returns the note sections of a file; none if its section headers are malformed, which loaders
 * ignore too.
 */
function noteSections(source: ByteSource, headers: ElfHeaders): Section[] {
  try {
    return sectionsOfType(source, headers, SHT_NOTE).filter((section) => isInFile(section, source));
  } catch (error) {
    if (error instanceof JailbuildError) return [];
    throw error;
  }
}

function notesIn(
  source: ByteSource,
  headers: ElfHeaders,
  { offset, size, field }: { offset: number; size: number; field: string },
): Note[] {
  if (size > MAX_NOTES) throw malformed(source, field, `has a size of ${size} bytes`);
  const bytes = source.read(offset, size);
  if (bytes.length < size) throw malformed(source, field, 'reaches beyond the end of the file');
  const { u32 } = fieldReader(headers);
  const notes: Note[] = [];
  for (let at = 0; at + 12 <= size; ) {
    const nameSize = u32(bytes, at);
    const descriptionAt = at + 12 + align(nameSize);
    const end = descriptionAt + u32(bytes, at + 4);
    if (end > size)
      throw malformed(source, field, `has a note at ${at} that reaches beyond its end`);
    notes.push({
      owner: bytes.toString('latin1', at + 12, at + 12 + nameSize).replace(/\0.*$/s, ''),
      type: u32(bytes, at + 8),
      description: bytes.subarray(descriptionAt, end),
    });
    at = align(end);
  }
  return notes;
}

/** Rounds up to words of four bytes, which all known notes use, even in 64-bit files. */
function align(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** Returns the build ID in hexadecimal digits (ld(1), --build-id). */
export function buildId(notes: readonly Note[]): string | undefined {
  const note = notes.find(({ owner, type }) => owner === GNU && type === NT_GNU_BUILD_ID);
  return note?.description.toString('hex');
}

/**
 * Returns the package that the distribution declares as the file's origin: an object such as
 * `{"type":"deb","name":"coreutils","version":"9.1-1"}`.
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function packageMetadata(
  notes: readonly Note[],
  source: ByteSource,
): Readonly<Record<string, unknown>> | undefined {
  const note = notes.find(({ owner, type }) => owner === FDO && type === NT_FDO_PACKAGING_METADATA);
  if (note === undefined) return undefined;
  const value = json(note, source, 'package note');
  if (!isObject(value)) throw malformed(source, 'package note', 'is not a JSON object');
  return value;
}

/**
 * Returns the libraries that the file declares to open at run time.
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function dlopenNeeds(notes: readonly Note[], source: ByteSource): DlopenNeed[] {
  return notes
    .filter(({ owner, type }) => owner === FDO && type === NT_FDO_DLOPEN_METADATA)
    .flatMap((note) => {
      const value = json(note, source, 'dlopen note');
      if (!Array.isArray(value)) throw malformed(source, 'dlopen note', 'is not a JSON array');
      return value.map((item) => dlopenNeed(item, source));
    });
}

function dlopenNeed(item: unknown, source: ByteSource): DlopenNeed {
  const fail = (problem: string): never => {
    throw malformed(source, 'dlopen note', problem);
  };
  if (!isObject(item)) return fail('has an item that is not an object');
  const { soname, priority = 'recommended', feature, description } = item;
  if (!isTexts(soname) || soname.length === 0) return fail('has an item without soname');
  if (soname.some((name) => name === '' || name.includes('\0'))) {
    return fail('has an item with an empty soname');
  }
  if (priority !== 'required' && priority !== 'recommended' && priority !== 'suggested') {
    return fail(`has the unknown priority ${JSON.stringify(priority)}`);
  }
  return {
    sonames: soname,
    priority,
    feature: typeof feature === 'string' ? feature : undefined,
    description: typeof description === 'string' ? description : undefined,
  };
}

function json({ description }: Note, source: ByteSource, field: string): unknown {
  try {
    return JSON.parse(description.toString('utf8').replace(/\0+$/, ''));
  } catch {
    throw malformed(source, field, 'is not JSON');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
