import { parseElf } from '../../elf/parse.js';
import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';

/** BINPRM_BUF_SIZE: the bytes of a script that Linux reads. */
const SCRIPT_START = 256;

/**
 * Returns the interpreter that the kernel opens for a program by itself, without a system call:
 * that of an ELF file or of a script. Undefined for static programs and for files that cannot be
 * read.
 */
export function interpreterOf(sysroot: Sysroot, program: string): string | undefined {
  const found = sysroot.trace(program);
  if (!isTrace(found) || found.stat.type !== 'file') return undefined;
  try {
    const reader = sysroot.open(found);
    try {
      const start = reader.read(0, SCRIPT_START).toString('latin1');
      const shebang = /^#![ \t]*([^ \t\n\0]+)/.exec(start)?.[1];
      const interpreter = shebang ?? parseElf(reader).interpreter;
      return interpreter?.startsWith('/') ? interpreter : undefined;
    } finally {
      reader.close();
    }
  } catch (error) {
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}
