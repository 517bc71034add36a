import picomatch from 'picomatch';
import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';

/**
 * The maximum number of paths that a pattern may visit: links to parent directories make it
 * endless.
 */
const MAX_LOOKS = 100_000;

/** A path that a pattern matched, in the spelling of the pattern. */
export interface Match {
  readonly path: string;
  readonly trace: Trace;
}

/**
 * Expands a pattern in a sysroot: glob(7) with `**` for any number of directories, and `{a,b}`
 * within one component. Names that start with a dot need a pattern that does; `**` does not follow
 * symbolic links. A pattern without special characters is a path.
 *
 * @param pattern absolute
 * @returns matches in the order of their paths, without dangling links
 * @throws JailbuildError USAGE for a pattern that matches too many paths
 */
export function glob(sysroot: Sysroot, pattern: string): Match[] {
  const parts = pattern.split('/').filter((part) => part !== '');
  const found = new Map<string, Match>();
  let looks = 0;
  const visit = (path: string, index: number): void => {
    if (++looks > MAX_LOOKS) {
      throw new JailbuildError(
        'USAGE',
        `${pattern}: matches more than ${MAX_LOOKS} paths`,
        pattern,
      );
    }
    const part = parts[index];
    const trace = sysroot.trace(path === '' ? '/' : path);
    if (!isTrace(trace)) return;
    if (part === undefined) {
      found.set(path, { path: path === '' ? '/' : path, trace });
    } else if (part === '**') {
      visit(path, index + 1);
      if (trace.stat.type !== 'directory') return;
      for (const name of sysroot.list(trace)) {
        const below = sysroot.trace(`${path}/${name}`);
        if (isTrace(below) && below.links.some(({ last }) => last)) {
          if (index + 1 === parts.length) visit(`${path}/${name}`, index + 1);
        } else {
          visit(`${path}/${name}`, index);
        }
      }
    } else if (isMagic(part)) {
      if (trace.stat.type !== 'directory') return;
      const matches = matcher([part]);
      for (const name of sysroot.list(trace))
        if (matches(name)) visit(`${path}/${name}`, index + 1);
    } else {
      visit(`${path}/${part}`, index + 1);
    }
  };
  visit('', 0);
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export interface MatchOptions {
  /** `*` also matches names that start with a dot. */
  readonly dot?: boolean;
  /** A pattern without a slash matches the last component of a path. */
  readonly matchBase?: boolean;
}

/**
 * Returns whether one of the patterns matches a whole name or path.
 *
 * @throws JailbuildError USAGE for an empty pattern
 */
export function matcher(
  patterns: readonly string[],
  options: MatchOptions = {},
): (text: string) => boolean {
  if (patterns.length === 0) return () => false;
  if (patterns.includes('')) throw new JailbuildError('USAGE', 'a pattern is empty: leave it out');
  return picomatch([...patterns], { ...options, nonegate: true, noextglob: true });
}

export function isMagic(part: string): boolean {
  return /[*?[{]/.test(part);
}
