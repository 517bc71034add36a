import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { RunningProcess } from './running-process.js';

/** The list of libraries that glibc loads into every program (ld.so(8)). */
export const PRELOAD = '/etc/ld.so.preload';

/** The file, and the names or paths of libraries that it lists. */
export interface Preload {
  readonly trace: Trace;
  readonly names: readonly string[];
}

/** Reads the list of a root; returns undefined if there is none. */
export function readPreload(sysroot: Sysroot): Preload | undefined {
  const trace = sysroot.trace(PRELOAD);
  if (!isTrace(trace) || trace.stat.type !== 'file') return undefined;
  return { trace, names: preloadNames(sysroot.readText(trace)) };
}

/** Parses the names or paths of libraries, separated by blanks or colons; `#` starts a comment. */
function preloadNames(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => line.replace(/#.*/, '').split(/[\s:]+/))
    .filter((name) => name !== '');
}

/**
 * Opens the listed libraries in a program's process and adds them. Ignores missing ones, as glibc
 * does.
 *
 * @returns a warning for each that does not exist
 */
export function openPreload(
  { trace, names }: Preload,
  process: RunningProcess,
  program: LoadedObject,
): string[] {
  return names.flatMap((name) => {
    const isThere = process.opens(name, program, ({ rule }) => ({
      kind: 'needed',
      by: trace.path,
      name,
      rule,
    }));
    return isThere ? [] : [`${trace.path}: names ${name}, which was not found`];
  });
}

/** Returns a hint on the libraries that programs load on the host because of the list. */
export function unusedPreload(sysroot: Sysroot): string[] {
  const { names = [] } = readPreload(sysroot) ?? {};
  return names.length === 0
    ? []
    : [`libraries that ${PRELOAD} names (${names.join(', ')}): add --include ${PRELOAD}`];
}
