import { namesInStrings } from '../../elf/names-in-strings.js';
import { commandNames, pathStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import type { OpenFile } from '../../fs/file-reader.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { STANDARD_PATH } from '../../manifest/standard-path.js';
import { lookUpProgram } from '../find-program.js';

/** The maximum number of bytes read of a program. */
const MAX_READ = 64 << 20;
/** Paths that are filled at run time, or that contain no program's data. */
const ELSEWHERE =
  /^\/(dev|proc|sys|run|tmp|home|root|boot|mnt|media)(\/|$)|^\/var\/(run|tmp|lock|log|mail|spool)(\/|$)/;

/** A path among the strings of a program, and its file. */
export interface NamedPath {
  /** As written in the program. */
  readonly name: string;
  readonly trace: Trace;
}

/**
 * Returns the files and directories of the host that a program names by absolute paths in its data.
 *
 * @param probe the sysroot to look in; files that it observes are not part of the closure
 * @param root the root that contains the program, which may differ from the sysroot
 */
export function namedPaths(
  probe: Sysroot,
  program: Trace,
  elf: ElfFile,
  root: Sysroot = probe,
): NamedPath[] {
  const names = withReader(root, program, (reader) => pathStrings(reader, elf.headers, MAX_READ));
  const found: NamedPath[] = [];
  for (const name of names) {
    if (ELSEWHERE.test(name)) continue;
    const trace = probe.trace(name);
    if (!isTrace(trace) || trace.path === '/') continue;
    if (trace.stat.type === 'file' || trace.stat.type === 'directory') found.push({ name, trace });
  }
  return found;
}

/** Returns whether a program may start another by a bare name. */
export type Mentions = (name: string) => boolean;

/**
 * Returns a function that returns whether a program has a name in its data: see `namesInStrings`.
 */
export function mentionsOf(sysroot: Sysroot, program: Trace, elf: ElfFile): Mentions {
  return withReader(sysroot, program, (reader) => namesInStrings(reader, elf.headers, MAX_READ));
}

/** Returns what `read` finds in a program. */
function withReader<Found>(
  sysroot: Sysroot,
  program: Trace,
  read: (reader: OpenFile) => Found,
): Found {
  const reader = sysroot.open(program);
  try {
    return read(reader);
  } finally {
    reader.close();
  }
}

/**
 * Returns the programs that a program runs by command lines in its data, as far as the sysroot has
 * them in essential packages.
 */
export function essentialCommands(
  sysroot: Sysroot,
  program: Trace,
  elf: ElfFile,
  database: PackageDatabase,
  root: Sysroot = sysroot,
): Map<string, Trace> {
  const names = withReader(root, program, (reader) => commandNames(reader, elf.headers, MAX_READ));
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

/**
 * The maximum size of a script in bytes; larger ones are programs such as self-extracting archives.
 */
const MAX_SCRIPT = 1 << 20;

/** Returns a function that returns whether a script has a name among its words, in any language. */
export function scriptMentions(sysroot: Sysroot, script: Trace): Mentions {
  const text = script.stat.size > MAX_SCRIPT ? '' : sysroot.readText(script);
  const words = new Set(text.match(/[A-Za-z][\w.+-]+/g) ?? []);
  const own = script.path.slice(script.path.lastIndexOf('/') + 1);
  // Wrappers start `$0.bin`.
  return (name) => words.has(name) || name.startsWith(`${own}.`);
}
