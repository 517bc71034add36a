import { JailbuildError } from '../errors.js';
import type { Manifest } from '../plan/manifest.js';
import { resolve } from '../resolve/resolve.js';

/**
 * Proves a written jail: each requested program is resolved again with the jail as its root, by the
 * same rules as on the host. What the loader would miss in there is an error here.
 *
 * @param root the jail's directory
 * @param searchPath where a script's env(1) looks for programs; the default is what login(1) sets
 * @returns the number of files that the programs need, all found
 * @throws JailbuildError VERIFY_FAILED naming the program and what it misses
 */
export function verifyJail(
  manifest: Manifest,
  root: string,
  searchPath?: readonly string[],
): number {
  const programs = manifest.entries
    .filter(({ reasons }) => reasons.some(({ kind }) => kind === 'requested'))
    .map(({ path }) => path);
  const known = new Set(manifest.missing.map(({ name, neededBy }) => `${name}\0${neededBy}`));

  const { libraryPath } = manifest.request;
  let closure: ReturnType<typeof resolve>;
  try {
    closure = resolve({
      programs,
      sysroot: root,
      terminfo: 'none',
      // The jail's own cache, if it has one.
      ldCache: 'copy',
      ...(libraryPath === undefined ? {} : { libraryPath }),
      ...(searchPath === undefined ? {} : { path: searchPath }),
    });
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw new JailbuildError('VERIFY_FAILED', `in the jail: ${error.message}`, error.path, {
      cause: error,
    });
  }
  const missing = closure.missing.find(({ name, neededBy }) => !known.has(`${name}\0${neededBy}`));
  if (missing !== undefined) {
    throw new JailbuildError(
      'VERIFY_FAILED',
      `in the jail: ${missing.name}, needed by ${missing.neededBy}, is not found`,
      missing.neededBy,
    );
  }
  return closure.files.filter(({ stat }) => stat.type === 'file').length;
}
