import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/**
 * Returns options for a test that needs programs on the machine; without them it is skipped with
 * the reason.
 *
 * @param programs names on PATH, or paths, also of directories
 */
export function needs(...programs: readonly string[]): { readonly skip: string | false } {
  const missing = [...new Set(programs)].filter((program) => !onPath(program));
  return { skip: missing.length === 0 ? false : `needs ${missing.join(', ')}` };
}

/** Returns options for a test that needs root, and programs on the machine. */
export function needsRoot(...programs: readonly string[]): { readonly skip: string | false } {
  return process.getuid?.() === 0 ? needs(...programs) : { skip: 'needs root' };
}

/**
 * Returns options for a test that needs something else of the machine, such as a file or an
 * ability.
 *
 * @param what named in the reason
 * @param others result of `needs` or `needsRoot`, which is checked first
 */
export function needsThat(
  what: string,
  isThere: () => boolean,
  others: { readonly skip: string | false } = { skip: false },
): { readonly skip: string | false } {
  return others.skip !== false || isThere() ? others : { skip: `needs ${what}` };
}

/** Returns options for a test that compiles 32-bit programs on x86-64. */
export function needsI386(): { readonly skip: string | false } {
  const [source, flags] = ['#include <stdlib.h>\nint main(void) { exit(0); }\n', ['-m32']];
  const { status } = spawnSync('cc', [...flags, '-xc', '-', '-o', '/dev/null'], { input: source });
  return { skip: status === 0 ? false : 'needs a compiler and a C library for i386' };
}

/** Returns whether the shell would find a program. */
export function onPath(program: string): boolean {
  const directories = program.startsWith('/') ? [''] : (process.env.PATH ?? '').split(':');
  return directories.some((directory) => {
    try {
      accessSync(path.resolve(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
