import type { ElfFile } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import type { Trace } from '../fs/sysroot.js';
import type { ObjectTable } from '../loader/objects.js';

const FILE_KIND: Readonly<Record<string, string>> = {
  rel: 'an object file, which',
  core: 'a core dump, which',
};

/**
 * Parses a program or shared library.
 *
 * @returns undefined for a file that is not ELF
 * @throws JailbuildError NOT_A_PROGRAM, NOT_READABLE, MALFORMED_ELF
 */
export function parseProgram(objects: ObjectTable, trace: Trace): ElfFile | undefined {
  try {
    const elf = objects.parse(trace);
    const { type } = elf.headers;
    if (type === 'exec' || type === 'dyn') return elf;
    const kind = FILE_KIND[type ?? ''] ?? 'an ELF file of an e_type that';
    throw new JailbuildError(
      'NOT_A_PROGRAM',
      `${trace.path}: is ${kind} Linux does not run: name a program or a shared library`,
      trace.path,
    );
  } catch (error) {
    if (error instanceof JailbuildError && error.code === 'NOT_ELF') return undefined;
    throw error;
  }
}
