import { STANDARD_PATH } from '../manifest/standard-path.js';
import type { Resolution } from './additions.js';
import type { FoundProgram } from './find-program.js';

/** A program outside the PATH of profiles or the standard one. */
export interface OutsideProgram {
  /** As written in the request or script. */
  readonly program: string;
  readonly directory: string;
}

/** Directories of programs; a program that is named by a path elsewhere is private. */
const PROGRAM_DIRECTORY = /\/(s?bin|shims)$/;

/**
 * Returns the programs outside the jail's PATH: those looked up by name, and those named by a path in a
 * directory of programs (pyenv, nvm, /opt).
 *
 * @param programs those requested, and those that env(1) starts for scripts
 * @param environment variables that the profiles set
 */
export function programsOutside(
  programs: readonly FoundProgram[],
  environment: Readonly<Record<string, string>>,
): OutsideProgram[] {
  const usual = jailPathOf(environment);
  return programs.flatMap(({ as, trace }) => {
    // The path before following links.
    const at = trace.links.find(({ last }) => last)?.path ?? trace.path;
    const directory = at.slice(0, at.lastIndexOf('/')) || '/';
    const isProgram = !as.includes('/') || PROGRAM_DIRECTORY.test(directory);
    return isProgram && !usual.includes(directory) ? [{ program: as, directory }] : [];
  });
}

/**
 * Returns the variables that a jail sets: those of its profiles, and a PATH that finds its
 * programs.
 */
export function jailEnvironment(
  { searchPath }: Resolution,
  outside: readonly OutsideProgram[],
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (outside.length === 0) return environment;
  const usual = jailPathOf(environment);
  const directories = [...new Set(outside.map(({ directory }) => directory))];
  // Keeps the order of the search path, so that names find the same programs in the jail.
  const system = searchPath.findIndex((directory) => usual.includes(directory));
  const before = searchPath.slice(0, Math.max(system, 0));
  const first = before.filter((directory) => directories.includes(directory));
  return { ...environment, PATH: [...new Set([...first, ...usual, ...directories])].join(':') };
}

/** Returns the directories in which commands are looked up in a jail. */
export function jailPathOf({ PATH }: Readonly<Record<string, string>>): readonly string[] {
  return PATH === undefined ? STANDARD_PATH : PATH.split(':');
}
