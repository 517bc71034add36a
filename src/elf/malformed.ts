import { JailbuildError } from '../errors.js';
import type { ByteSource } from './types.js';

/** Returns the error for a malformed ELF file, naming the file and the field. */
export function malformed(source: ByteSource, field: string, problem: string): JailbuildError {
  return new JailbuildError(
    'MALFORMED_ELF',
    `${source.path}: malformed ELF file: ${field} ${problem}`,
    source.path,
  );
}
