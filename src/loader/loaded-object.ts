import type { ElfFile } from '../elf/types.js';
import type { SearchRule } from '../plan/manifest.js';
import type { Trace } from '../sysroot/sysroot.js';

/** An object as the dynamic loader of one process would have it in its list (glibc's link_map). */
export interface LoadedObject {
  /** The name it was opened by: an absolute path that may lead through links and `..`. */
  readonly name: string;
  readonly trace: Trace;
  readonly elf: ElfFile;
  /** The value of $ORIGIN in its strings. */
  readonly origin: string;
  /** The object that brought it in first; undefined for the program and the interpreter. */
  readonly loadedBy: LoadedObject | undefined;
  /** How it was found. */
  readonly rule: SearchRule;
  /** The names by which others asked for it; a later request by one of them gets this object. */
  readonly requestedAs: Set<string>;
}
