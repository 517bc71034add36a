import elfTools, { type Elf } from 'elf-tools';
import { JailbuildError } from '../errors.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** The kernel refuses program header tables above 64 KiB (fs/binfmt_elf.c, load_elf_phdrs). */
const MAX_PROGRAM_HEADERS = 65536;

/** Sizes and offsets of the header's fields by class (gABI chapter 4, "ELF Header"). */
const LAYOUT = {
  32: {
    ehsize: 52,
    phentsize: 32,
    shentsize: 40,
    phoff: 28,
    shoff: 32,
    tail: 40,
    shOffset: 16,
    shSize: 20,
  },
  64: {
    ehsize: 64,
    phentsize: 56,
    shentsize: 64,
    phoff: 32,
    shoff: 40,
    tail: 52,
    shOffset: 24,
    shSize: 32,
  },
} as const;

/**
 * PT_LOAD, PT_DYNAMIC, PT_INTERP and PT_NOTE: what tells how a file is loaded. The others are left
 * out, because decoding a header takes elf-tools several microseconds.
 */
const LOADING_TYPES = new Set([1, 2, 3, 4]);

const MAGIC = Buffer.from('\x7fELF', 'latin1');

/** True if the file starts with the ELF magic number. */
export function isElf(start: Buffer): boolean {
  return start.length >= 4 && start.subarray(0, 4).equals(MAGIC);
}

/**
 * Reads the ELF header and the program headers. elf-tools does the decoding. It wants the whole
 * image and at least one section header, so it is given a small image made of the file's header,
 * those program headers that tell how it is loaded and one empty section header.
 *
 * @param start the file's first bytes, 64 or more unless the file is shorter
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF
 */
export function readHeaders(source: ByteSource, start: Buffer): ElfHeaders {
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

  const u16 = (offset: number) =>
    little ? start.readUInt16LE(offset) : start.readUInt16BE(offset);
  const phoff =
    elfClass === 32
      ? little
        ? start.readUInt32LE(layout.phoff)
        : start.readUInt32BE(layout.phoff)
      : Number(little ? start.readBigUInt64LE(layout.phoff) : start.readBigUInt64BE(layout.phoff));
  const phentsize = u16(layout.tail + 2);
  const phnum = u16(layout.tail + 4);
  const tableSize = phnum * layout.phentsize;
  if (phnum > 0 && phentsize !== layout.phentsize) {
    throw malformed(source, 'e_phentsize', `is ${phentsize}, not ${layout.phentsize}`);
  }
  if (tableSize > MAX_PROGRAM_HEADERS) throw malformed(source, 'e_phnum', `is ${phnum}`);
  if (phoff + tableSize > source.size) {
    throw malformed(source, 'e_phoff', 'puts the program headers beyond the end of the file');
  }

  const table =
    phoff + tableSize <= start.length
      ? start.subarray(phoff, phoff + tableSize)
      : source.read(phoff, tableSize);
  const image = Buffer.alloc(layout.ehsize + tableSize + layout.shentsize);
  start.copy(image, 0, 0, layout.ehsize);
  let section = layout.ehsize;
  for (let offset = 0; offset < tableSize; offset += layout.phentsize) {
    const type = little ? table.readUInt32LE(offset) : table.readUInt32BE(offset);
    if (!LOADING_TYPES.has(type)) continue;
    section += table.copy(image, section, offset, offset + layout.phentsize);
  }
  writeWord(image, layout.phoff, layout.ehsize, elfClass, little);
  writeWord(image, layout.shoff, section, elfClass, little);
  writeHalf(image, layout.tail + 4, (section - layout.ehsize) / layout.phentsize, little);
  writeHalf(image, layout.tail + 6, layout.shentsize, little);
  writeHalf(image, layout.tail + 8, 1, little);
  writeHalf(image, layout.tail + 10, 0, little);
  // The section serves as its own name table: one zero byte, the first of its header.
  writeWord(image, section + layout.shOffset, section, elfClass, little);
  writeWord(image, section + layout.shSize, 1, elfClass, little);

  let elf: Elf;
  try {
    elf = elfTools.parse(image);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw malformed(source, 'program headers', `cannot be read: ${reason}`);
  }
  return {
    class: elfClass,
    byteOrder: little ? 'little' : 'big',
    machine: u16(18),
    flags: elf.header.flags,
    type: elf.header.type,
    segments: elf.programs.map(({ header }) => ({
      type: header.type,
      offset: header.offset,
      vaddr: header.vaddr,
      filesz: header.filesz,
    })),
  };
}

function writeWord(
  image: Buffer,
  offset: number,
  value: number,
  elfClass: 32 | 64,
  little: boolean,
) {
  if (elfClass === 32) {
    if (little) image.writeUInt32LE(value, offset);
    else image.writeUInt32BE(value, offset);
  } else if (little) image.writeBigUInt64LE(BigInt(value), offset);
  else image.writeBigUInt64BE(BigInt(value), offset);
}

function writeHalf(image: Buffer, offset: number, value: number, little: boolean) {
  if (little) image.writeUInt16LE(value, offset);
  else image.writeUInt16BE(value, offset);
}
