import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';

/** The maximum number of paths that a pattern may match; real ones match a few dozen. */
const MAX_PATHS = 10_000;

/** The maximum depth of nested includes; ldconfig itself has no limit. */
const MAX_DEPTH = 16;

/**
 * Returns the library directories of /etc/ld.so.conf, in order and without repetition, with `include`
 * followed (ldconfig(8); glibc elf/ldconfig.c, parse_conf). `hwcap` lines are obsolete and have no
 * effect, as in ldconfig since glibc 2.33.
 *
 * @returns an empty list if the file does not exist
 * @throws JailbuildError MALFORMED_CONF for a pattern that matches too many paths
 */
export function readLdSoConf(sysroot: Sysroot, file = '/etc/ld.so.conf'): string[] {
  const directories = new Set<string>();
  readInto(sysroot, file, directories, new Set(), 0);
  return [...directories];
}

function readInto(
  sysroot: Sysroot,
  file: string,
  directories: Set<string>,
  seen: Set<string>,
  depth: number,
): void {
  const found = sysroot.trace(file);
  if (!isTrace(found) || found.stat.type !== 'file') return;
  if (depth > MAX_DEPTH || seen.has(found.path)) return;
  seen.add(found.path);
  for (const raw of sysroot.readText(found).split('\n')) {
    const line = raw.replace(/#.*/, '').trim();
    if (line === '') continue;
    const include = /^include\s+(.*)$/.exec(line);
    if (include !== null) {
      for (const pattern of (include[1] ?? '').split(/\s+/)) {
        const absolute = pattern.startsWith('/')
          ? pattern
          : `${file.slice(0, file.lastIndexOf('/'))}/${pattern}`;
        for (const path of glob(sysroot, absolute, file)) {
          readInto(sysroot, path, directories, seen, depth + 1);
        }
      }
      continue;
    }
    if (/^hwcap\s/.test(line)) continue;
    // An old syntax names the libc type after an equals sign: `/lib=libc6`.
    const directory = line.replace(/=[^/]*$/, '').replace(/\/+$/, '');
    if (directory.startsWith('/')) directories.add(directory);
  }
}

/** Returns the paths that match a glob(7) pattern, in the order of glob(3) in the C locale. */
function glob(sysroot: Sysroot, pattern: string, file: string): string[] {
  let paths = [''];
  for (const part of pattern.split('/').filter((item) => item !== '')) {
    if (!/[*?[\\]/.test(part)) {
      paths = paths.map((path) => `${path}/${part}`);
      continue;
    }
    const matches = globMatcher(part);
    paths = paths.flatMap((path) => {
      const directory = sysroot.trace(path === '' ? '/' : path);
      if (!isTrace(directory) || directory.stat.type !== 'directory') return [];
      return sysroot
        .list(directory)
        .filter((name) => (part.startsWith('.') || !name.startsWith('.')) && matches(name))
        .map((name) => `${path}/${name}`);
    });
    if (paths.length > MAX_PATHS) {
      throw new JailbuildError(
        'MALFORMED_CONF',
        `${file}: include ${pattern} matches more than ${MAX_PATHS} paths`,
        file,
      );
    }
  }
  return paths.filter((path) => isTrace(sysroot.trace(path)));
}

const ANY = Symbol('*');

/**
 * Matches names against a glob(7) pattern. Backtracks only to the last star, so that no pattern
 * takes long.
 */
export function globMatcher(pattern: string): (name: string) => boolean {
  const items = globItems(pattern);
  return (name) => {
    const letters = [...name];
    let at = 0;
    let item = 0;
    let star = -1;
    let starAt = 0;
    while (at < letters.length) {
      const wanted = items[item];
      if (wanted === ANY) {
        star = item++;
        starAt = at;
      } else if (wanted?.(letters[at] ?? '')) {
        at++;
        item++;
      } else if (star >= 0) {
        item = star + 1;
        at = ++starAt;
      } else {
        return false;
      }
    }
    while (items[item] === ANY) item++;
    return item === items.length;
  };
}

type GlobItem = typeof ANY | ((letter: string) => boolean);

function globItems(pattern: string): GlobItem[] {
  const items: GlobItem[] = [];
  // An unclosed bracket and a trailing backslash are literal.
  for (const [all, escaped, negated, set] of pattern.matchAll(
    /\\(.)|\[([!^]?)(\]?[^\]]*)\]|./gsu,
  )) {
    if (escaped !== undefined) items.push((letter) => letter === escaped);
    else if (set !== undefined) items.push(letterIn(set, negated !== ''));
    else if (all === '*') items.push(ANY);
    else items.push(all === '?' ? () => true : (letter) => letter === all);
  }
  return items;
}

function letterIn(set: string, negated: boolean): (letter: string) => boolean {
  const ranges = [...set.matchAll(/(.)-(.)|./gsu)].map(([one, first, last]) =>
    first === undefined ? [one, one] : [first, last],
  );
  return (letter) =>
    negated !== ranges.some(([first = '', last = '']) => first <= letter && letter <= last);
}
