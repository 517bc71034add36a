import { fromBytes } from '../fs/path-bytes.js';
import { readDynamic } from './dynamic.js';
import { readHeaders } from './headers.js';
import { readIdentification } from './identification.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfFile, ElfHeaders } from './types.js';

/**
 * The bytes that {@link parseElf} reads first: enough for the header, the program headers and, as
 * linkers arrange files, PT_INTERP.
 */
export const FIRST_READ = 4096;

/** The kernel refuses an interpreter path above PATH_MAX (fs/binfmt_elf.c). */
const PATH_MAX = 4096;

/**
 * Parses the parts of a file that determine how it is loaded. Reads a few kilobytes, regardless of
 * its size.
 *
 * @param start the file's first {@link FIRST_READ} bytes
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF (naming the field)
 */
export function parseElf(source: ByteSource, start = source.read(0, FIRST_READ)): ElfFile {
  const headers = readHeaders(source, start);
  const identification = readIdentification(start);
  if (identification === undefined) throw malformed(source, 'header', 'is cut short');
  return {
    identification,
    headers,
    interpreter: readInterpreter(source, headers, start),
    dynamic: readDynamic(source, headers),
  };
}

/**
 * Reads PT_INTERP: a path, which Linux resolves from the working directory if it is relative.
 *
 * @param start the file's first bytes
 * @throws JailbuildError MALFORMED_ELF
 */
export function readInterpreter(
  source: ByteSource,
  headers: ElfHeaders,
  start: Buffer,
): string | undefined {
  const segment = headers.segments.find(({ type }) => type === 'interp');
  if (segment === undefined) return undefined;
  const { offset, filesz } = segment;
  if (filesz < 2 || filesz > PATH_MAX) {
    throw malformed(source, 'PT_INTERP', `has a size of ${filesz} bytes`);
  }
  const bytes =
    offset + filesz <= start.length
      ? start.subarray(offset, offset + filesz)
      : source.read(offset, filesz);
  if (bytes.length < filesz) {
    throw malformed(source, 'PT_INTERP', 'reaches beyond the end of the file');
  }
  if (bytes[filesz - 1] !== 0)
    throw malformed(source, 'PT_INTERP', 'does not end with a zero byte');
  const name = fromBytes(bytes.subarray(0, bytes.indexOf(0)));
  if (name === '') throw malformed(source, 'PT_INTERP', 'is an empty path');
  return name;
}
