import type { NamedPath } from './named-paths.js';

/** Functions of the C library that start /bin/sh (system(3), popen(3), wordexp(3)). */
const SHELL_FUNCTIONS: ReadonlySet<string> = new Set(['system', 'popen', 'wordexp']);
/** Functions that start a given program (exec(3), posix_spawn(3)). */
const START_FUNCTIONS: ReadonlySet<string> = new Set([
  ...['execl', 'execlp', 'execle', 'execv', 'execvp', 'execvpe', 'execve', 'fexecve'],
  ...['posix_spawn', 'posix_spawnp'],
]);
/** Functions that look programs up on PATH, themselves or through the shell. */
const LOOK_UP_FUNCTIONS: ReadonlySet<string> = new Set([
  ...SHELL_FUNCTIONS,
  ...['execlp', 'execvp', 'execvpe', 'posix_spawnp'],
]);
/**
 * Functions whose command is usually in the program itself; execvp(3) also serves commands of the
 * user.
 */
const FIXED_FUNCTIONS: ReadonlySet<string> = new Set([...SHELL_FUNCTIONS, 'execlp']);
/** The shell that these functions of the C library start. */
export const SYSTEM_SHELL = '/bin/sh';
const SHELL = /^(\/usr)?\/bin\/(sh|ash|bash|dash|ksh|zsh)$/;

/** Returns whether a path is that of a shell. */
export function isShell(path: string): boolean {
  return SHELL.test(path);
}

/** Functions that show that a program starts others. */
export const SPAWN_FUNCTIONS: ReadonlySet<string> = new Set([
  ...SHELL_FUNCTIONS,
  ...START_FUNCTIONS,
]);

/**
 * Returns the shell that a program starts, according to its imports and the paths that it names:
 * /bin/sh through the C library, or a shell that it names and may pass to exec(3).
 */
export function startedShell(
  imports: readonly string[],
  named: readonly Pick<NamedPath, 'name'>[],
): string | undefined {
  if (imports.some((name) => SHELL_FUNCTIONS.has(name))) return SYSTEM_SHELL;
  if (!imports.some((name) => START_FUNCTIONS.has(name))) return undefined;
  const shells = named.map(({ name }) => name).filter((name) => SHELL.test(name));
  return shells.find((name) => name.endsWith('/sh')) ?? shells[0];
}

/** Returns whether a program runs command lines through a shell, according to its imports. */
export function runsCommandLines(imports: readonly string[]): boolean {
  return imports.some((name) => SHELL_FUNCTIONS.has(name));
}

/** Returns whether a program may start others, according to its imports. */
export function startsPrograms(imports: readonly string[]): boolean {
  return imports.some((name) => SPAWN_FUNCTIONS.has(name));
}

/** Returns whether a program may start others by their bare names, according to its imports. */
export function startsByName(imports: readonly string[]): boolean {
  return imports.some((name) => LOOK_UP_FUNCTIONS.has(name));
}

/**
 * Returns whether a program starts others of its own choice by their bare names, according to its
 * imports.
 */
export function startsOwnChoice(imports: readonly string[]): boolean {
  return imports.some((name) => FIXED_FUNCTIONS.has(name));
}
