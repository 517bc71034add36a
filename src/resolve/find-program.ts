import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import { nearest } from '../text/suggest.js';

/** A requested program and its file. */
export interface FoundProgram {
  /** As written in the request. */
  readonly as: string;
  readonly trace: Trace;
}

/** Directories of programs that a user's PATH often lacks. */
const SYSTEM_DIRECTORIES = STANDARD_PATH.filter((directory) => directory.endsWith('/sbin'));

const WHY_NOT: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EACCES: 'permission denied',
  ELOOP: 'too many levels of symbolic links',
};

/**
 * Finds a program by bare name on the search path, as execvp(3) does, or by path.
 *
 * @param name a name with a slash is a path, relative to `cwd`
 * @throws JailbuildError PROGRAM_NOT_FOUND, NOT_A_REGULAR_FILE
 */
export function findProgram(
  sysroot: Sysroot,
  name: string,
  searchPath: readonly string[],
  cwd: string,
): FoundProgram {
  if (name === '')
    throw new JailbuildError('PROGRAM_NOT_FOUND', 'a program name is empty: name a program');
  if (name.includes('/')) {
    const inside = path.posix.isAbsolute(name) ? name : `${cwd}/${name}`;
    const trace = sysroot.trace(inside);
    if (!isTrace(trace)) {
      const why = WHY_NOT[trace.errno] ?? trace.errno;
      const where = trace.at === inside ? '' : ` (at ${trace.at})`;
      throw new JailbuildError('PROGRAM_NOT_FOUND', `${name}: ${why}${where}`, name);
    }
    mustBeRegular(name, trace);
    return { as: name, trace };
  }
  const trace = lookUpProgram(sysroot, name, searchPath);
  if (trace !== undefined) return { as: name, trace };
  throw new JailbuildError(
    'PROGRAM_NOT_FOUND',
    `${name}: program not found on PATH (${searchPath.join(':')})${hint(sysroot, name, searchPath, cwd)}`,
    name,
  );
}

/** Suggests a program for a name that is not on the search path. */
function hint(sysroot: Sysroot, name: string, searchPath: readonly string[], cwd: string): string {
  const [elsewhere] = [...SYSTEM_DIRECTORIES, cwd]
    .filter((directory) => !searchPath.includes(directory))
    .filter((directory) => lookUpProgram(sysroot, name, [directory]) !== undefined);
  if (elsewhere !== undefined) {
    return `; to use ${elsewhere === cwd ? '.' : elsewhere}/${name}, name it by its path`;
  }
  const programs = searchPath.flatMap((directory) => {
    const trace = directory.startsWith('/') ? sysroot.trace(directory) : undefined;
    if (trace === undefined || !isTrace(trace) || trace.stat.type !== 'directory') return [];
    return sysroot.list(trace).map((other) => ({ other, directory }));
  });
  // For two-letter names, too many others are similar.
  const edits = name.length > 2 ? 1 : 0;
  const near = nearest(name, [...new Set(programs.map(({ other }) => other))], edits);
  const found = programs.find(({ other }) => other === near);
  return near === undefined || lookUpProgram(sysroot, near, [found?.directory ?? '']) === undefined
    ? ''
    : `; did you mean ${near}?`;
}

/** Returns the executable that execvp(3) would start; relative paths are resolved from the root. */
export function lookUpProgram(
  sysroot: Sysroot,
  name: string,
  searchPath: readonly string[],
): Trace | undefined {
  const directories = name.includes('/') ? [''] : searchPath.filter((item) => item.startsWith('/'));
  for (const directory of directories) {
    const path = name.startsWith('/') ? name : `${directory.replace(/\/+$/, '')}/${name}`;
    const trace = sysroot.trace(path);
    if (isTrace(trace) && trace.stat.type === 'file' && (trace.stat.mode & 0o111) !== 0) {
      return trace;
    }
  }
  return undefined;
}

function mustBeRegular(name: string, { stat }: Trace): void {
  if (stat.type === 'file') return;
  const what = stat.type === 'directory' ? 'is a directory' : `is a ${stat.type.replace('-', ' ')}`;
  throw new JailbuildError('NOT_A_REGULAR_FILE', `${name}: ${what}, not a program`, name);
}
