import path from 'node:path';
import type { DataStrings } from '../../elf/path-strings.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { STANDARD_PATH } from '../../manifest/standard-path.js';
import { baseName } from '../../text/base-name.js';
import { lookUpProgram } from '../find-program.js';
import { hasFewPrograms } from './package-programs.js';

/** Paths that are filled at run time, or that contain no program's data. */
const ELSEWHERE =
  /^\/(dev|proc|sys|run|tmp|home|root|boot|mnt|media)(\/|$)|^\/var\/(run|tmp|lock|log|mail|spool)(\/|$)/;

/** A path among the strings of a program, and its file. */
export interface NamedPath {
  /** As written in the program. */
  readonly name: string;
  readonly trace: Trace;
  /** Whether the program searches for the file in several directories. */
  readonly isSearched?: boolean;
}

/**
 * Returns the files and directories of the host that a program names in its data, by absolute paths
 * or by paths from its own directory.
 *
 * @param probe the sysroot to look in; files that it observes are not part of the closure
 */
export function namedPaths(
  probe: Sysroot,
  program: Trace,
  { paths, searched }: Pick<DataStrings, 'paths' | 'searched'>,
): NamedPath[] {
  const directory = program.path.slice(0, program.path.lastIndexOf('/'));
  const absolute = paths.map((name) =>
    name.startsWith('/') ? name : path.posix.join(directory, name),
  );
  const several = new Set(searched);
  return existing(probe, absolute).map((path) =>
    several.has(path.name) ? { ...path, isSearched: true } : path,
  );
}

/** Returns whether a program may start another by a bare name. */
export type Mentions = (name: string) => boolean;

/**
 * Returns the programs of essential packages among names, as far as the sysroot has them.
 *
 * @param program runs them, and is not among them
 */
export function essentialCommands(
  sysroot: Sysroot,
  program: Trace,
  names: Iterable<string>,
  database: PackageDatabase,
): Map<string, Trace> {
  const found = new Map<string, Trace>();
  for (const name of names) {
    const trace = lookUpProgram(sysroot, name, STANDARD_PATH);
    if (trace !== undefined && trace.path !== program.path) found.set(name, trace);
  }
  if (found.size === 0) return found;
  const owners = database.ownersOf([...found.values()].map((trace) => trace.path));
  for (const [name, trace] of found) {
    if (!owners.get(trace.path)?.some(({ isEssential }) => isEssential)) found.delete(name);
  }
  return found;
}

/** The maximum length of what a variant adds to the name of an original, in characters. */
const MAX_PREFIX = 2;
/** Shorter names of programs, in characters, are ends of others by chance. */
const MIN_ORIGINAL = 4;

/**
 * Returns the essential program of which a program is a variant, according to its name: `diff` for
 * `wdiff`. It names no such program in its data if the linker merges strings that are ends of others.
 */
export function originalOf(
  sysroot: Sysroot,
  name: string,
  database: PackageDatabase,
): Trace | undefined {
  for (let at = 1; at <= Math.min(MAX_PREFIX, name.length - MIN_ORIGINAL); at++) {
    const original = lookUpProgram(sysroot, name.slice(at), STANDARD_PATH);
    if (original === undefined) continue;
    const among = database.ownersOf([original.path]).get(original.path) ?? [];
    if (among.some((owner) => owner.isEssential && hasFewPrograms(owner, database)))
      return original;
  }
  return undefined;
}

/** Matches the first word of a quoted string. */
const QUOTED = /["'`(]([a-z][a-z0-9_.+-]{2,20})(?=["'` ])/g;

/** Returns the essential programs whose names begin quoted strings of a script in any language. */
export function quotedCommands(
  sysroot: Sysroot,
  script: Trace,
  database: PackageDatabase,
): Map<string, Trace> {
  if (script.stat.size > MAX_SCRIPT) return new Map();
  const words = [...sysroot.readText(script).matchAll(QUOTED)].map(([, word = '']) => word);
  return essentialCommands(sysroot, script, new Set(words), database);
}

/**
 * The maximum size of a script in bytes; larger ones are programs such as self-extracting archives.
 */
const MAX_SCRIPT = 1 << 20;

/** Returns a function that returns whether a script has a name among its words, in any language. */
export function scriptMentions(sysroot: Sysroot, script: Trace): Mentions {
  const text = script.stat.size > MAX_SCRIPT ? '' : sysroot.readText(script);
  const words = new Set(text.match(/[A-Za-z][\w.+-]+/g) ?? []);
  const own = baseName(script.path);
  // Wrappers start `$0.bin`.
  return (name) => words.has(name) || name.startsWith(`${own}.`);
}

/** Returns the directories in /var below which a script in any language names files. */
export function scriptDirectories(sysroot: Sysroot, script: Trace): string[] {
  if (script.stat.size > MAX_SCRIPT) return [];
  return sysroot.readText(script).match(/(?<![\w.)}/])\/var\/[a-z]+(?![\w-])/g) ?? [];
}

/** Matches an absolute path that is no part of a longer word. */
const SCRIPT_PATH = /(?<![\w.)}$/*~-])(?:\/[A-Za-z0-9._+-]+){2,10}/g;

/**
 * Returns the files and directories of the host that a shell script names by absolute paths outside
 * comments.
 *
 * @param probe the sysroot to look in
 * @param root the root that contains the script, which may differ from the sysroot
 */
export function scriptPaths(probe: Sysroot, script: Trace, root: Sysroot = probe): NamedPath[] {
  if (script.stat.size > MAX_SCRIPT) return [];
  const lines = root.readText(script).split('\n');
  const code = lines.filter((line) => !line.trimStart().startsWith('#')).join('\n');
  return existing(probe, new Set(code.match(SCRIPT_PATH) ?? []));
}

/** Matches an assignment of a constant. */
const CONSTANT = /^\s*(?:export\s+)?(\w+)=["']?([\w.+-]+)["']?\s*(?:;|$)/gm;
/** Matches the use of a variable. */
const VARIABLE = /\$(?:(\w+)|\{(\w+)\})/g;
/** Matches the known end of a path: two names or more. */
const PATH_END = /[\w}`)"'](\/[A-Za-z0-9._+-]+(?:\/[A-Za-z0-9._+-]+){1,10})(?![\w./$*{])/g;

/**
 * Returns the known ends of paths that a shell script composes: `/lib/maxima/5.46.0` for
 * `$prefix/lib/$PACKAGE/$VERSION`, where it assigns only constants to the last two.
 *
 * @param root the root that contains the script
 */
export function scriptPathEnds(script: Trace, root: Sysroot): string[] {
  if (script.stat.size > MAX_SCRIPT) return [];
  const text = root.readText(script);
  const constants = new Map<string, string | undefined>();
  for (const [, name = '', value] of text.matchAll(CONSTANT)) {
    constants.set(name, constants.has(name) ? undefined : value);
  }
  const composed = text.replace(
    VARIABLE,
    (use: string, bare?: string, braced?: string) => constants.get(bare ?? braced ?? '') ?? use,
  );
  return [...new Set([...composed.matchAll(PATH_END)].map(([, end = '']) => end))];
}

/** Returns those paths that exist and belong to what is installed. */
function existing(probe: Sysroot, names: Iterable<string>): NamedPath[] {
  const found: NamedPath[] = [];
  for (const name of names) {
    if (ELSEWHERE.test(name)) continue;
    const trace = probe.trace(name);
    if (!isTrace(trace) || trace.path === '/') continue;
    if (trace.stat.type === 'file' || trace.stat.type === 'directory') found.push({ name, trace });
  }
  return found;
}
