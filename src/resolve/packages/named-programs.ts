import type { ElfFile } from '../../elf/types.js';
import type { PackageDatabase } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { essentialCommands, originalOf, quotedCommands } from '../usage/named-paths.js';
import { PROGRAM } from '../usage/package-programs.js';
import { isShell, startedShell, startsPrograms } from '../usage/shell.js';
import type { PackageSources } from './added-files.js';
import type { ClosureSoFar } from './closure-so-far.js';
import type { OwnData } from './own-data.js';

/** Data of a program, as a directory or a file in one. */
const OF_PROGRAM = /^\/usr\/share\/[^/]+(\/.*)?$/;

/** Adds the programs that others start, according to what these name. */
export class NamedPrograms {
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #data: OwnData;

  constructor({ sysroot, closure, database }: PackageSources, data: OwnData) {
    this.#sysroot = sysroot;
    this.#closure = closure;
    this.#database = database;
    this.#data = data;
  }

  /** Adds a program of every system that another one names by path; shells are added as such. */
  addAtPath(name: string, by: string): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    if (!PROGRAM.test(name) || isShell(name)) return;
    const trace = sysroot.trace(name);
    if (!isTrace(trace)) return;
    closure.addCommand(trace, { kind: 'command', by, name });
    const { elf } = closure.read(trace.stat.identity);
    const [owner] = this.#database.ownersOf([trace.path]).get(trace.path) ?? [];
    if (elf === undefined || owner === undefined) return;
    // Its own tables, which it may not work without.
    this.#data.add(trace, elf, owner, (data) => OF_PROGRAM.test(data.trace.path));
  }

  /** Adds the shell that a program starts, if it starts one. */
  addShell(shell: string | undefined, by: string): void {
    const trace = shell === undefined ? undefined : this.#sysroot.trace(shell);
    if (shell === undefined || trace === undefined || !isTrace(trace)) return;
    this.#closure.addProgram(trace, { kind: 'command', by, name: shell });
  }

  /** Adds the essential program of which another one is a variant, according to its name. */
  addOriginal(object: Trace): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const name = baseName(object.path);
    const original = originalOf(sysroot, name, this.#database);
    if (original === undefined) return;
    const reason = { kind: 'command', by: object.path, name: baseName(original.path) } as const;
    closure.addCommand(original, reason);
  }

  /** Adds the basic programs that a script in a language other than the shell's runs by name. */
  addQuoted(script: Trace): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    if (closure.isShellScript(script.path)) return;
    for (const [name, trace] of quotedCommands(sysroot, script, this.#database)) {
      closure.addCommand(trace, { kind: 'command', by: script.path, name });
      // As tar starts programs that compress.
      const { elf, facts } = closure.read(trace.stat.identity);
      const imports = facts?.imports ?? [];
      if (elf === undefined || !startsPrograms(imports)) continue;
      this.addShell(startedShell(imports, this.#data.namedBy(trace, elf)), trace.path);
    }
  }

  /** Adds the basic programs that the command lines in a program's data begin with. */
  addCommands(object: Trace, elf: ElfFile): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const { commands } = closure.stringsOf(sysroot, object, elf);
    for (const [name, trace] of essentialCommands(sysroot, object, commands, this.#database)) {
      closure.addCommand(trace, { kind: 'command', by: object.path, name });
    }
  }
}
