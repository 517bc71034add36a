import type { LoadedObject } from '../../loader/loaded-object.js';
import type { DlopenChoice } from '../../manifest/request.js';
import { RANK } from './dlopen-notes.js';
import type { RunningProcess } from './running-process.js';

/** A library that glibc opens itself when a program calls certain functions. */
interface LibcLibrary {
  readonly functions: readonly string[];
  readonly priority: 'required' | 'recommended' | 'suggested';
  /** Returns the library's name in a release of glibc. */
  soname(glibc: LoadedObject): string;
  /** What a program cannot do without it. */
  readonly without: string;
}

/** From this version on, glibc uses libidn2 instead of its own libcidn. */
const WITH_LIBIDN2 = 'GLIBC_2.28';

/**
 * The libraries that glibc opens and no file names (calls of __libc_dlopen in its source), except
 * modules of the name service and of character sets, which have rules of their own.
 */
const LIBRARIES: readonly LibcLibrary[] = [
  {
    // Unwinding a thread's stack (misc/unwind-link.c; sysdeps/nptl/pthread_cancel_init.c before 2.34).
    functions: ['pthread_cancel', 'pthread_exit', 'thrd_exit', 'backtrace'],
    priority: 'required',
    soname: () => 'libgcc_s.so.1',
    without: 'end or cancel threads, or print a backtrace',
  },
  {
    // Host names with non-ASCII letters: AI_IDN, NI_IDN (inet/idna.c).
    functions: ['getaddrinfo', 'getnameinfo', 'getaddrinfo_a'],
    priority: 'suggested',
    soname: ({ elf }) =>
      elf.dynamic?.versions.defines?.has(WITH_LIBIDN2) === false ? 'libcidn.so.1' : 'libidn2.so.0',
    without: 'look up internationalized host names',
  },
];

/** The functions that open these libraries. */
export const LIBC_FUNCTIONS: ReadonlySet<string> = new Set(
  LIBRARIES.flatMap(({ functions }) => functions),
);

interface Use {
  readonly library: LibcLibrary;
  /** The function that opens it. */
  readonly feature: string;
}

/** Cached by the list of imports itself: each file has one, and many processes have the file. */
const uses = new WeakMap<readonly string[], readonly Use[]>();

function usesOf(imports: readonly string[]): readonly Use[] {
  let known = uses.get(imports);
  if (known === undefined) {
    known = LIBRARIES.flatMap((library) => {
      const feature = library.functions.find((name) => imports.includes(name));
      return feature === undefined ? [] : [{ library, feature }];
    });
    uses.set(imports, known);
  }
  return known;
}

/**
 * Opens the libraries that glibc opens for the functions that an object imports.
 *
 * @param glibc the C library of the process
 * @param choice libraries of this priority or higher
 * @returns a warning for each library that does not exist and without which a program fails
 */
export function openLibcLibraries(
  process: RunningProcess,
  glibc: LoadedObject,
  by: LoadedObject,
  imports: readonly string[],
  choice: DlopenChoice,
): string[] {
  return usesOf(imports).flatMap(({ library: { priority, soname, without }, feature }) => {
    if (RANK[priority] > RANK[choice]) return [];
    const name = soname(glibc);
    const isThere = process.opens(name, glibc, ({ rule }) => ({
      kind: 'dlopen',
      by: by.trace.path,
      name,
      rule,
      priority,
      feature,
    }));
    if (isThere || priority !== 'required') return [];
    return [
      `${by.trace.path}: calls ${feature}, for which glibc opens ${name}, but it was not found: the program cannot ${without}`,
    ];
  });
}
