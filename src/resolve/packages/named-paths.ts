import { pathStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';

/** Larger programs are read as far as this, in bytes. */
const MAX_READ = 64 << 20;
/** What a jail gets when it runs, or what is nobody's data. */
const ELSEWHERE =
  /^\/(dev|proc|sys|run|tmp|home|root|boot|mnt|media)(\/|$)|^\/var\/(run|tmp|lock|log|mail|spool)(\/|$)/;

/** A path that a program has among its strings, and what is there. */
export interface NamedPath {
  /** As the program has it. */
  readonly name: string;
  readonly trace: Trace;
}

/**
 * Returns the files and directories of the host that a program names by absolute paths in its data.
 *
 * @param probe the sysroot to look in; what it observes says nothing of the closure
 */
export function namedPaths(probe: Sysroot, program: Trace, elf: ElfFile): NamedPath[] {
  const reader = probe.open(program);
  let names: Set<string>;
  try {
    names = pathStrings(reader, elf.headers, MAX_READ);
  } finally {
    reader.close();
  }
  const found: NamedPath[] = [];
  for (const name of names) {
    if (ELSEWHERE.test(name)) continue;
    const trace = probe.trace(name);
    if (!isTrace(trace) || trace.path === '/') continue;
    if (trace.stat.type === 'file' || trace.stat.type === 'directory') found.push({ name, trace });
  }
  return found;
}
