import { JailbuildError } from '../errors.js';
import { readDynamic } from './dynamic.js';
import { decodeProgramHeaders } from './elf-tools-view.js';
import { fieldReader } from './fields.js';
import { readHeaders } from './headers.js';
import { readIdentification } from './identification.js';
import { malformed } from './malformed.js';
import {
  buildId,
  type DlopenNeed,
  dlopenNeeds,
  type Note,
  packageMetadata,
  readNotes,
} from './notes.js';
import { FIRST_READ, readInterpreter } from './parse.js';
import { readSections, type Section } from './sections.js';
import type { ByteSource, ElfFile, ElfHeaders } from './types.js';

/** Everything known about an ELF file, for display. */
export interface Inspection extends ElfFile {
  /** EI_OSABI and EI_ABIVERSION. */
  readonly osAbi: number;
  readonly abiVersion: number;
  /** e_type as a number: 2 is a program, 3 a program or library. */
  readonly fileType: number;
  /** The entry point's address. */
  readonly entry: bigint;
  readonly programHeaders: readonly ProgramHeader[];
  /** Empty for a file without section headers. */
  readonly sections: readonly Section[];
  readonly notes: readonly Note[];
  readonly buildId: string | undefined;
  readonly package: Readonly<Record<string, unknown>> | undefined;
  readonly dlopens: readonly DlopenNeed[];
  /** Malformed parts that do not affect loading. */
  readonly problems: readonly string[];
}

/**
 * A program header of any type (gABI chapter 5). Sizes in bytes; numbers from 2^53 on are bigints.
 */
export interface ProgramHeader {
  /** p_type, such as PT_LOAD = 1. */
  readonly type: number;
  /** p_flags: execute 1, write 2, read 4. */
  readonly flags: number;
  readonly offset: number | bigint;
  readonly address: number | bigint;
  readonly fileSize: number | bigint;
  readonly memorySize: number | bigint;
  readonly alignment: number | bigint;
}

/**
 * Reads everything that an ELF file declares, except symbols and code.
 *
 * Unreadable parts are omitted and listed in `problems`.
 *
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF for a file without a complete ELF header
 */
export function inspectElf(source: ByteSource): Inspection {
  const problems: string[] = [];
  const start = source.read(0, FIRST_READ);
  const headers = readHeaders(source, start, ({ message }) => problems.push(message));
  const identification = readIdentification(start);
  if (identification === undefined) throw malformed(source, 'header', 'is cut short');
  const tolerate = <T>(otherwise: T, read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      problems.push(error.message);
      return otherwise;
    }
  };
  const interpreter = tolerate(undefined, () => readInterpreter(source, headers, start));
  const dynamic = tolerate(undefined, () => readDynamic(source, headers));
  if (dynamic?.versions.problem !== undefined) problems.push(dynamic.versions.problem);
  const notes = tolerate<Note[]>([], () => readNotes(source, headers));
  return {
    ...{ identification, headers, interpreter, dynamic },
    ...readStart(source, headers),
    programHeaders: tolerate<ProgramHeader[]>([], () => readProgramHeaders(source, headers)),
    sections: tolerate<Section[]>([], () => readSections(source, headers)),
    notes,
    buildId: buildId(notes),
    package: tolerate(undefined, () => packageMetadata(notes, source)),
    dlopens: tolerate<DlopenNeed[]>([], () => dlopenNeeds(notes, source)),
    problems: [...new Set(problems)],
  };
}

function readStart(source: ByteSource, headers: ElfHeaders) {
  const little = headers.byteOrder === 'little';
  const wide = headers.class === 64;
  const { u16, u32 } = fieldReader(headers);
  const address = (bytes: Buffer, at: number): bigint => {
    if (!wide) return BigInt(u32(bytes, at));
    return little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
  };
  const start = source.read(0, wide ? 64 : 52);
  return {
    osAbi: start[7] ?? 0,
    abiVersion: start[8] ?? 0,
    fileType: u16(start, 16),
    entry: address(start, 24),
  };
}

/** Core dumps of large processes have more program headers than fit into e_phnum. */
const PN_XNUM = 0xffff;
const MAX_HEADERS = 1 << 20;

function readProgramHeaders(source: ByteSource, headers: ElfHeaders): ProgramHeader[] {
  const wide = headers.class === 64;
  const { u16, u32, word, exact } = fieldReader(headers);
  const start = source.read(0, wide ? 64 : 52);
  const offset = word(start, wide ? 32 : 28);
  const said = u16(start, wide ? 56 : 44);
  // In that case the number is in sh_info of the first section header (gABI chapter 4, "ELF
  // Header").
  const first = said === PN_XNUM ? source.read(word(start, wide ? 40 : 32), wide ? 64 : 40) : start;
  const count = said === PN_XNUM && first.length >= 40 ? u32(first, wide ? 44 : 28) : said;
  const size = wide ? 56 : 32;
  if (count > MAX_HEADERS) throw malformed(source, 'e_phnum', `is ${count}`);
  if (offset + count * size > source.size) {
    throw malformed(source, 'e_phoff', 'puts the program headers beyond the end of the file');
  }
  const table = source.read(offset, count * size);
  const decoded = decodedByElfTools(source, headers, start, table);
  const at = wide
    ? { flags: 4, offset: 8, address: 16, fileSize: 32, memorySize: 40, alignment: 48 }
    : { flags: 24, offset: 4, address: 8, fileSize: 16, memorySize: 20, alignment: 28 };
  return Array.from({ length: count }, (_, index) => {
    const place = index * size;
    // elf-tools names only some types.
    const both = { type: u32(table, place), flags: u32(table, place + at.flags) };
    const own = decoded?.[index];
    if (own !== undefined) {
      const { offset, vaddr, filesz, memsz, align } = own;
      const sizes = { fileSize: filesz, memorySize: memsz, alignment: align };
      return { ...both, offset, address: vaddr, ...sizes };
    }
    return {
      ...both,
      offset: exact(table, place + at.offset),
      address: exact(table, place + at.address),
      fileSize: exact(table, place + at.fileSize),
      memorySize: exact(table, place + at.memorySize),
      alignment: exact(table, place + at.alignment),
    };
  });
}

/** @returns undefined for a table with numbers from 2^53 on, which elf-tools refuses or rounds */
function decodedByElfTools(
  source: ByteSource,
  headers: ElfHeaders,
  start: Buffer,
  table: Buffer,
): ReturnType<typeof decodeProgramHeaders> | undefined {
  try {
    const decoded = decodeProgramHeaders(source, headers, start, table);
    const isExact = ({ offset, vaddr, filesz, memsz, align }: (typeof decoded)[number]) =>
      [offset, vaddr, filesz, memsz, align].every(Number.isSafeInteger);
    return decoded.every(isExact) ? decoded : undefined;
  } catch (error) {
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}
