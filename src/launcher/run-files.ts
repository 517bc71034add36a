import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { ownTemporaryDirectory, ownVariable } from '../fs/own-environment.js';
import { toBytes } from '../fs/path-bytes.js';
import { DEFAULT_CAPABILITIES, filtersOf, isProfileFile, type LaunchOptions } from './options.js';
import { UnnamedFile } from './unnamed-file.js';

/** Returns whether the launcher needs temporary files for the run. */
export function needsRunFiles(options: LaunchOptions): boolean {
  return (
    (options.landlock !== undefined && 'entries' in options.landlock) ||
    filtersOf(options).some(isProfileFile)
  );
}

/**
 * Makes the files that the launcher needs for a run: filters compiled from profiles, and Landlock rules. They are kept
 * until the run ends, since they also limit further commands in the jail (`exec`), and have no names, so that a run that
 * is killed leaves none behind.
 *
 * @throws JailbuildError USAGE, NOT_READABLE, LAUNCHER_MISSING
 */
export async function withRunFiles<T>(
  options: LaunchOptions,
  use: (options: LaunchOptions) => Promise<T>,
): Promise<T> {
  if (!needsRunFiles(options)) return use(options);
  const files: UnnamedFile[] = [];
  const newPath = (): string => {
    const file = new UnnamedFile(runtimeDirectory());
    files.push(file);
    return file.path;
  };
  try {
    return await use({
      ...options,
      seccomp: await compiledFilters(options, newPath),
      ...(await landlockOf(options, newPath)),
    });
  } finally {
    for (const file of files) file.close();
  }
}

/** Returns a private directory for files of running programs, if one exists. */
function runtimeDirectory(): string {
  const own = process.geteuid?.() === 0 ? '/run' : ownVariable('XDG_RUNTIME_DIR');
  return own?.startsWith('/') && existsSync(toBytes(own)) ? own : ownTemporaryDirectory();
}

async function compiledFilters(
  options: LaunchOptions,
  newPath: () => string,
): Promise<readonly string[]> {
  const capabilities = options.capabilities?.bounding ?? DEFAULT_CAPABILITIES;
  const filters: string[] = [];
  for (const filter of filtersOf(options)) {
    if (!isProfileFile(filter)) {
      filters.push(filter);
      continue;
    }
    const { readSeccompProfile } = await import('./seccomp-file.js');
    const { compileProfile } = await import('./oci/seccomp.js');
    const compiled = newPath();
    await compileProfile(readSeccompProfile(filter, capabilities), compiled, filter);
    filters.push(compiled);
  }
  return filters;
}

async function landlockOf(
  options: LaunchOptions,
  newPath: () => string,
): Promise<Pick<LaunchOptions, 'landlock'>> {
  if (options.landlock === undefined || 'file' in options.landlock) return {};
  const { landlockFile, landlockRules } = await import('./landlock.js');
  const file = newPath();
  await writeFile(file, landlockFile(landlockRules(options.landlock.entries, options)));
  return { landlock: { file } };
}
