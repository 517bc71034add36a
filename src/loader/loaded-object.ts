import type { ElfFile } from '../elf/types.js';
import type { Trace } from '../fs/sysroot.js';
import type { SearchRule } from '../manifest/manifest.js';

/** An object in the loader's list for one process (glibc's link_map). */
export interface LoadedObject {
  /** The name by which it was opened: an absolute path, possibly with links and `..`. */
  readonly name: string;
  readonly trace: Trace;
  readonly elf: ElfFile;
  /** The value of $ORIGIN in its strings. */
  readonly origin: string;
  /** The first object that needed it; undefined for the program and the interpreter. */
  readonly loadedBy: LoadedObject | undefined;
  /** How it was found. */
  readonly rule: SearchRule;
  /** The kind of processor that it is for, such as x86-64-v3; undefined for all. */
  readonly level: string | undefined;
  /** The names by which others requested it, the first one first. */
  readonly requestedAs: string[];
}

/** Returns an object opened by `name`, in the loader's spelling of the path. */
export function loadedObject(
  name: string,
  trace: Trace,
  elf: ElfFile,
  loadedBy: LoadedObject | undefined,
  rule: SearchRule,
  level?: string,
): LoadedObject {
  // The program's origin comes from /proc/self/exe, without links; a library's from its name.
  const opened = loadedBy === undefined ? trace.path : name;
  const cut = opened.lastIndexOf('/');
  const origin = cut <= 0 ? '/' : opened.slice(0, cut);
  return { name, trace, elf, origin, loadedBy, rule, level, requestedAs: [] };
}
