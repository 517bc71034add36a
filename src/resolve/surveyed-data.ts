import { isElfStart } from '../elf/headers.js';
import type { Sysroot } from '../fs/sysroot.js';

/**
 * Returns whether a file is known to need nothing, without looking it up: it is a regular file of a survey, neither
 * ELF nor executable.
 *
 * @param path without links on the way
 */
export function isSurveyedData(sysroot: Sysroot, path: string): boolean {
  const start = sysroot.dataStart(path);
  return start !== undefined && !isElfStart(start);
}
