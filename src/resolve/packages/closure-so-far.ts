import type { DataStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { Sysroot, Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import type { Resolution } from '../additions.js';
import type { RunKind } from '../file-collection.js';
import type { ReadFile } from '../originals.js';
import { hasUser } from '../usage/configured-users.js';

/** What the closure of requested programs contains so far, as packages look at it and add to it. */
export interface ClosureSoFar {
  /** Returns whether it has an entry at a path. */
  has(path: string): boolean;
  /** Returns whether it has a user, as `hasUser`. */
  hasUser(name: string): boolean;
  /** Returns the paths of the regular files with a reason of these kinds. */
  withReason(...kinds: readonly Reason['kind'][]): readonly string[];
  /** Returns the regular files that a script runs. */
  runBy(script: string, ...kinds: readonly RunKind[]): readonly string[];
  /** Returns whether a program is a shell script. */
  isShellScript(path: string): boolean;
  /** Returns what was read of a file, by its identity. */
  read(identity: string): ReadFile;
  /** Returns what the strings of a file name, as `ProgramStrings.of`. */
  stringsOf(root: Sysroot, file: Trace, elf: ElfFile): DataStrings;
  /** Returns which names a file has in its data, as `ProgramStrings.namesIn`. */
  namesIn(root: Sysroot, file: Trace, elf: ElfFile): (name: string) => boolean;
  /** Adds the steps of a look-up. */
  add(trace: Trace, reason: Reason): void;
  /** Adds what a file among data needs, as `ProgramResolver.addRunnable`. */
  addRunnable(trace: Trace, isWanted: (interpreter: Trace) => boolean): void;
  /** Adds a program that another one may start, as `ProgramResolver.addCommand`. */
  addCommand(trace: Trace, reason: Reason): void;
  /** Adds a program with all that it needs, as `ProgramResolver.addWithReason`. */
  addProgram(trace: Trace, reason: Reason): void;
}

/** Returns the closure of a resolution. */
export function closureOf({ files, programs }: Resolution): ClosureSoFar {
  return {
    has: (path) => files.has(path),
    hasUser: (name) => hasUser(files, name),
    withReason: (...kinds) => files.withReason(...kinds),
    runBy: (script, ...kinds) => files.runBy(script, ...kinds),
    isShellScript: (path) => programs.shellScripts.some(({ trace }) => trace.path === path),
    read: (identity) => programs.read(identity),
    stringsOf: (root, file, elf) => programs.strings.of(root, file, elf),
    namesIn: (root, file, elf) => programs.strings.namesIn(root, file, elf),
    add: (trace, reason) => files.add(trace, reason),
    addRunnable: (trace, isWanted) => programs.addRunnable(trace, isWanted),
    addCommand: (trace, reason) => programs.addCommand(trace, reason),
    addProgram: (trace, reason) => programs.addWithReason(trace, reason),
  };
}
