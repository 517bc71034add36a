import { JailbuildError } from '../../errors.js';
import { isReadShell } from '../../evidence/shell/words.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import { STANDARD_PATH } from '../../manifest/standard-path.js';
import { baseName } from '../../text/base-name.js';
import { type FoundProgram, lookUpProgram } from '../find-program.js';
import { executableAt, InterpreterError } from '../interpreter.js';
import { isEnvCommand, parseEnvArgument } from './env-command.js';
import { isScript, isShebang, MAX_INTERPRETERS, parseShebang, SCRIPT_START } from './shebang.js';

/** Receives the interpreters of scripts. */
export interface ScriptPrograms {
  /**
   * Adds a program.
   *
   * @returns the number of interpreters that Linux starts up to one that is not a script; infinite
   *   while the program is being added
   */
  add(trace: Trace, reason: Reason): number;
  /** Called with the paths of a script and its interpreter. */
  onInterpreter(script: string, interpreter: string): void;
}

/** A script that a shell runs. */
export interface ShellScript {
  readonly trace: Trace;
  /** The name of the shell. */
  readonly shell: string;
}

/** What the distribution installs (file-hierarchy(7)). */
const SYSTEM = /^\/(usr\/(?!local\/)|s?bin\/|lib)/;

/** Adds the interpreters of scripts (execve(2), env(1)). */
export class ScriptResolver {
  /** Shell scripts among those added, in order. */
  readonly shellScripts: ShellScript[] = [];
  /** Programs that env(1) starts for scripts by name, in order. */
  readonly startedByEnv: FoundProgram[] = [];
  readonly #sysroot: Sysroot;
  readonly #searchPath: readonly string[];
  readonly #programs: ScriptPrograms;

  /** @param searchPath where env(1) looks for programs */
  constructor(sysroot: Sysroot, searchPath: readonly string[], programs: ScriptPrograms) {
    this.#sysroot = sysroot;
    this.#searchPath = searchPath;
    this.#programs = programs;
  }

  /**
   * Adds what Linux starts for a script: its interpreter, and the program that env(1) starts.
   *
   * @returns the number of interpreters that Linux starts up to one that is not a script
   * @throws JailbuildError NOT_ELF for a file that is not a script, SCRIPT, INTERPRETER_NOT_FOUND
   */
  add(trace: Trace): number {
    const start = this.#start(trace);
    if (!isScript(start)) {
      const what = start.length === 0 ? 'is an empty file' : 'is neither an ELF file nor a script';
      throw new JailbuildError('NOT_ELF', `${trace.path}: ${what}`, trace.path);
    }
    const fail = (problem: string): never => {
      throw new JailbuildError('SCRIPT', `${trace.path}: ${problem}`, trace.path);
    };
    const shebang = parseShebang(start);
    if (!isShebang(shebang)) return fail(shebang.problem);

    const { interpreter, argument } = shebang;
    const found = executableAt(this.#sysroot, interpreter, trace);
    this.#programs.onInterpreter(trace.path, found.path);
    this.#noteShell(trace, interpreter);
    const count = 1 + this.#programs.add(found, { kind: 'shebang', of: trace.path });
    if (count > MAX_INTERPRETERS) {
      fail(
        `its interpreters are scripts too, more than the ${MAX_INTERPRETERS} that Linux follows`,
      );
    }
    if (baseName(interpreter) === 'env') {
      this.#addEnvProgram(trace, argument, fail);
    }
    return count;
  }

  /**
   * Returns the interpreter of a script; for env(1), the program that it starts. Empty if there is
   * none.
   */
  interpreters(trace: Trace): Trace[] {
    const start = this.#start(trace);
    const shebang = isScript(start) ? parseShebang(start) : undefined;
    if (shebang === undefined || !isShebang(shebang)) return [];
    const { interpreter, argument } = shebang;
    if (interpreter.endsWith('/env')) {
      const command = parseEnvArgument(argument);
      if (!isEnvCommand(command)) return [];
      const { program, searchPath = this.#searchPathFor(trace) } = command;
      const found = lookUpProgram(this.#sysroot, program, searchPath);
      return found === undefined ? [] : [found];
    }
    const found = this.#sysroot.trace(interpreter);
    return isTrace(found) ? [found] : [];
  }

  #noteShell(trace: Trace, interpreter: string): void {
    const shell = baseName(interpreter);
    if (isReadShell(shell)) this.shellScripts.push({ trace, shell });
  }

  #addEnvProgram(script: Trace, argument: string | undefined, fail: (problem: string) => never) {
    const command = parseEnvArgument(argument);
    if (!isEnvCommand(command)) return fail(command.problem);
    const { program, searchPath = this.#searchPathFor(script) } = command;
    const found = lookUpProgram(this.#sysroot, program, searchPath);
    if (found === undefined) {
      const where = program.includes('/')
        ? 'does not exist'
        : `is not on PATH (${searchPath.join(':')})`;
      throw new InterpreterError(script, program, where);
    }
    this.#programs.onInterpreter(script.path, found.path);
    this.#noteShell(script, program);
    if (!program.includes('/') && command.searchPath === undefined)
      this.startedByEnv.push({ as: program, trace: found });
    const count = this.#programs.add(found, { kind: 'env', of: script.path, name: program });
    if (count === Number.POSITIVE_INFINITY) fail('its env starts the script again, without end');
  }

  /**
   * Returns where env(1) finds the program of a script. A script of the system runs with the
   * system's interpreters, also if a user has others first on PATH.
   */
  #searchPathFor({ path }: Trace): readonly string[] {
    if (!SYSTEM.test(path)) return this.#searchPath;
    return [...new Set([...STANDARD_PATH, ...this.#searchPath])];
  }

  #start(trace: Trace): Buffer {
    const reader = this.#sysroot.open(trace);
    try {
      return reader.read(0, SCRIPT_START);
    } finally {
      reader.close();
    }
  }
}
