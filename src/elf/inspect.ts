import { JailbuildError } from '../errors.js';
import { decodeProgramHeaders } from './elf-tools-view.js';
import { fieldReader } from './fields.js';
import { malformed } from './malformed.js';
import {
  buildId,
  type DlopenNeed,
  dlopenNeeds,
  type Note,
  packageMetadata,
  readNotes,
} from './notes.js';
import { parseElf } from './parse.js';
import { readSections, type Section } from './sections.js';
import type { ByteSource, ElfFile } from './types.js';

/** All that can be told of an ELF file, for people. */
export interface Inspection extends ElfFile {
  /** EI_OSABI and EI_ABIVERSION. */
  readonly osAbi: number;
  readonly abiVersion: number;
  /** e_type as a number: 2 and 3 are programs, 3 is a library as well. */
  readonly fileType: number;
  /** The address at which it starts. */
  readonly entry: bigint;
  readonly programHeaders: readonly ProgramHeader[];
  /** Empty for a file without section headers. */
  readonly sections: readonly Section[];
  readonly notes: readonly Note[];
  readonly buildId: string | undefined;
  readonly package: Readonly<Record<string, unknown>> | undefined;
  readonly dlopens: readonly DlopenNeed[];
  /** What is not well-formed and does not matter for loading. */
  readonly problems: readonly string[];
}

/** A program header, of any type (gABI chapter 5). Bytes. */
export interface ProgramHeader {
  /** p_type, as PT_LOAD = 1. */
  readonly type: number;
  /** p_flags: execute 1, write 2, read 4. */
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

/**
 * Reads everything that an ELF file says of itself, but for symbols and code.
 *
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF for what the loader needs
 */
export function inspectElf(source: ByteSource): Inspection {
  const elf = parseElf(source);
  const problems: string[] = [];
  const tolerate = <T>(otherwise: T, read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      problems.push(error.message);
      return otherwise;
    }
  };
  const notes = tolerate<Note[]>([], () => readNotes(source, elf.headers));
  return {
    ...elf,
    ...readStart(source, elf),
    sections: tolerate<Section[]>([], () => readSections(source, elf.headers)),
    notes,
    buildId: buildId(notes),
    package: tolerate(undefined, () => packageMetadata(notes, source)),
    dlopens: tolerate<DlopenNeed[]>([], () => dlopenNeeds(notes, source)),
    problems,
  };
}

function readStart(source: ByteSource, { headers }: ElfFile) {
  const little = headers.byteOrder === 'little';
  const wide = headers.class === 64;
  const { u16, u32, word } = fieldReader(headers);
  const address = (bytes: Buffer, at: number): bigint => {
    if (!wide) return BigInt(u32(bytes, at));
    return little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
  };
  const start = source.read(0, wide ? 64 : 52);
  const offset = word(start, wide ? 32 : 28);
  const count = u16(start, wide ? 56 : 44);
  const size = wide ? 56 : 32;
  const table = source.read(offset, count * size);
  if (table.length < count * size) {
    throw malformed(source, 'e_phoff', 'puts the program headers beyond the end of the file');
  }
  return {
    osAbi: start[7] ?? 0,
    abiVersion: start[8] ?? 0,
    fileType: u16(start, 16),
    entry: address(start, 24),
    programHeaders: decodeProgramHeaders(source, headers, start, table).map(
      ({ offset, vaddr, filesz, memsz, align }, index) => ({
        // The package names the types that it knows; here are all.
        type: u32(table, index * size),
        flags: u32(table, index * size + (wide ? 4 : 24)),
        offset,
        address: vaddr,
        fileSize: filesz,
        memorySize: memsz,
        alignment: align,
      }),
    ),
  };
}
