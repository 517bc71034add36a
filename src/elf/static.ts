import type { ElfFile } from './types.js';

/** Returns whether an executable needs no libraries, so that its imports do not show what it calls. */
export function isStatic(elf: ElfFile): boolean {
  return (elf.dynamic?.needed ?? []).length === 0;
}
