import { JailbuildError } from '../errors.js';
import { fieldReader } from './fields.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders, Segment } from './types.js';

/** The kernel refuses program header tables above 64 KiB (fs/binfmt_elf.c, load_elf_phdrs). */
const MAX_PROGRAM_HEADERS = 65536;

/** Sizes, and offsets of fields, by class (gABI chapter 4, "ELF Header"; chapter 5, "Program Header"). */
const LAYOUT = {
  32: {
    ehsize: 52,
    phoff: 28,
    flags: 36,
    tail: 40,
    phentsize: 32,
    offset: 4,
    vaddr: 8,
    filesz: 16,
    memsz: 20,
    rights: 24,
  },
  64: {
    ehsize: 64,
    phoff: 32,
    flags: 48,
    tail: 52,
    phentsize: 56,
    offset: 8,
    vaddr: 16,
    filesz: 32,
    memsz: 40,
    rights: 4,
  },
} as const;

/** Segments that determine how a file is loaded; others are skipped. */
const SEGMENT_TYPE: Readonly<Record<number, string>> = {
  1: 'load',
  2: 'dynamic',
  3: 'interp',
  4: 'note',
};

const PF_X = 1;

const FILE_TYPE: Readonly<Record<number, string>> = { 1: 'rel', 2: 'exec', 3: 'dyn', 4: 'core' };

/** Bytes 0x7f, E, L, F. */
const MAGIC = 0x7f454c46;
const MAGIC_BACKWARDS = 0x464c457f;

/** True if the file starts with the ELF magic number. */
export function isElf(start: Buffer): boolean {
  return start.length >= 4 && start.readUInt32BE(0) === MAGIC;
}

/** As {@link isElf}, given the first four bytes as a little-endian number. */
export function isElfStart(start: number): boolean {
  return start === MAGIC_BACKWARDS;
}

/**
 * Reads the ELF header and the program headers.
 *
 * @param start the file's first bytes, 64 or more unless the file is shorter
 * @param onProblem called for program headers that cannot be read, instead of an error
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF
 */
export function readHeaders(
  source: ByteSource,
  start: Buffer,
  onProblem?: (problem: JailbuildError) => void,
): ElfHeaders {
  if (!isElf(start)) {
    throw new JailbuildError('NOT_ELF', `${source.path}: not an ELF file`, source.path);
  }
  const elfClass = start[4] === 1 ? 32 : start[4] === 2 ? 64 : undefined;
  if (elfClass === undefined) throw malformed(source, 'EI_CLASS', `is ${start[4] ?? 'missing'}`);
  const little = start[5] === 1;
  if (!little && start[5] !== 2) throw malformed(source, 'EI_DATA', `is ${start[5] ?? 'missing'}`);
  const layout = LAYOUT[elfClass];
  if (start.length < layout.ehsize) {
    throw malformed(source, 'header', `is cut short: the file has ${source.size} bytes`);
  }

  const byteOrder = little ? 'little' : 'big';
  const { u16, u32 } = fieldReader({ class: elfClass, byteOrder });
  const headers = {
    class: elfClass,
    byteOrder,
    machine: u16(start, 18),
    flags: u32(start, layout.flags),
    type: FILE_TYPE[u16(start, 16)],
  } as const;
  try {
    return { ...headers, segments: readSegments(source, start, headers) };
  } catch (error) {
    if (onProblem === undefined || !(error instanceof JailbuildError)) throw error;
    onProblem(error);
    return { ...headers, segments: [] };
  }
}

/** @throws JailbuildError MALFORMED_ELF */
function readSegments(
  source: ByteSource,
  start: Buffer,
  headers: Pick<ElfHeaders, 'class' | 'byteOrder'>,
): Segment[] {
  const layout = LAYOUT[headers.class];
  const { u16, u32, word } = fieldReader(headers);
  const { phentsize } = layout;
  const phoff = word(start, layout.phoff);
  const saidSize = u16(start, layout.tail + 2);
  const phnum = u16(start, layout.tail + 4);
  const tableSize = phnum * phentsize;
  if (phnum > 0 && saidSize !== phentsize) {
    throw malformed(source, 'e_phentsize', `is ${saidSize}, not ${phentsize}`);
  }
  if (tableSize > MAX_PROGRAM_HEADERS) throw malformed(source, 'e_phnum', `is ${phnum}`);
  if (phoff + tableSize > source.size) {
    throw malformed(source, 'e_phoff', 'puts the program headers beyond the end of the file');
  }

  const table =
    phoff + tableSize <= start.length
      ? start.subarray(phoff, phoff + tableSize)
      : source.read(phoff, tableSize);
  const segments: Segment[] = [];
  for (let at = 0; at + phentsize <= table.length; at += phentsize) {
    const type = SEGMENT_TYPE[u32(table, at)];
    if (type === undefined) continue;
    segments.push({
      type,
      offset: word(table, at + layout.offset),
      vaddr: word(table, at + layout.vaddr),
      filesz: word(table, at + layout.filesz),
      memsz: word(table, at + layout.memsz),
      isExecutable: (u32(table, at + layout.rights) & PF_X) !== 0,
    });
  }
  return segments;
}
