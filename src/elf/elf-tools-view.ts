import elfTools, { type ProgramHeader } from 'elf-tools';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders } from './types.js';

/** Field offsets and sizes of the ELF header and of section headers (gABI chapter 4). */
const LAYOUT = {
  32: { ehsize: 52, shentsize: 40, phoff: 28, shoff: 32, tail: 40, shOffset: 16, shSize: 20 },
  64: { ehsize: 64, shentsize: 64, phoff: 32, shoff: 40, tail: 52, shOffset: 24, shSize: 32 },
} as const;

/**
 * Decodes program headers with elf-tools. It expects a whole image with at least one section header, so
 * it receives a small one: the file's header, its program headers and an empty section header.
 *
 * @param start the file's header
 * @param table the bytes of the program headers
 * @throws JailbuildError MALFORMED_ELF
 */
export function decodeProgramHeaders(
  source: ByteSource,
  headers: ElfHeaders,
  start: Buffer,
  table: Buffer,
): readonly ProgramHeader[] {
  const little = headers.byteOrder === 'little';
  const layout = LAYOUT[headers.class];
  const section = layout.ehsize + table.length;
  const image = Buffer.alloc(section + layout.shentsize);
  start.copy(image, 0, 0, layout.ehsize);
  table.copy(image, layout.ehsize);
  const word = (at: number, value: number) => {
    if (headers.class === 32) {
      if (little) image.writeUInt32LE(value, at);
      else image.writeUInt32BE(value, at);
    } else if (little) image.writeBigUInt64LE(BigInt(value), at);
    else image.writeBigUInt64BE(BigInt(value), at);
  };
  const half = (at: number, value: number) => {
    if (little) image.writeUInt16LE(value, at);
    else image.writeUInt16BE(value, at);
  };
  word(layout.phoff, layout.ehsize);
  word(layout.shoff, section);
  half(layout.tail + 6, layout.shentsize);
  half(layout.tail + 8, 1);
  half(layout.tail + 10, 0);
  // The section serves as its own name table: one zero byte, the first of its header.
  word(section + layout.shOffset, section);
  word(section + layout.shSize, 1);
  try {
    return elfTools.parse(image).programs.map(({ header }) => header);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw malformed(source, 'program headers', `cannot be read: ${reason}`);
  }
}
