import type { ElfFile } from '../elf/types.js';
import type { ObjectFacts } from './process/runtime-facts.js';

/** What has been read of a file so far. */
export interface ReadFile {
  readonly elf: ElfFile | undefined;
  readonly facts: ObjectFacts | undefined;
  /** Whether it begins with the ELF magic number; undefined if unknown. */
  readonly isElf: boolean | undefined;
}

/** Returns what was read of the original of the file at a path, if it is known to be a copy. */
export type Originals = (path: string) => ReadFile | undefined;
