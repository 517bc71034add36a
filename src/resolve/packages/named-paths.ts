import { namesInStrings } from '../../elf/names-in-strings.js';
import { commandNames, pathStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import type { OpenFile } from '../../fs/file-reader.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { STANDARD_PATH } from '../../manifest/standard-path.js';
import { lookUpProgram } from '../find-program.js';

/** Larger programs are read as far as this, in bytes. */
const MAX_READ = 64 << 20;
/** What a jail gets when it runs, or what is nobody's data. */
const ELSEWHERE =
  /^\/(dev|proc|sys|run|tmp|home|root|boot|mnt|media)(\/|$)|^\/var\/(run|tmp|lock|log|mail|spool)(\/|$)/;

/** A path among the strings of a program, and the file there. */
export interface NamedPath {
  /** As the program has it. */
  readonly name: string;
  readonly trace: Trace;
}

/**
 * Returns the files and directories of the host that a program names by absolute paths in its data.
 *
 * @param probe the sysroot to look in; what it observes says nothing of the closure
 * @param root where the program is, which may be at another place than in the sysroot
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

/** What tells whether a program may start another by a bare name. */
export type Mentions = (name: string) => boolean;

/** Returns whether a program has a name in its data: see `namesInStrings`. */
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
 * Returns the programs that a program runs by command lines in its data, as far as the sysroot has them
 * and every system does: those of essential packages.
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

/** Scripts beyond this size, in bytes, are programs in disguise, as archives that unpack themselves. */
const MAX_SCRIPT = 1 << 20;

/** Returns whether a script has a name among its words, whatever its language. */
export function scriptMentions(sysroot: Sysroot, script: Trace): Mentions {
  const text = script.stat.size > MAX_SCRIPT ? '' : sysroot.readText(script);
  const words = new Set(text.match(/[A-Za-z][\w.+-]+/g) ?? []);
  const own = script.path.slice(script.path.lastIndexOf('/') + 1);
  // `exec $0.bin` is the way of wrappers.
  return (name) => words.has(name) || name.startsWith(`${own}.`);
}
