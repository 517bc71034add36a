import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import { type LoadedObject, loadedObject } from '../loader/loaded-object.js';
import { type ObjectTable, sameMachine } from '../loader/objects.js';

/**
 * Finds the interpreter that a program or script names, as execve(2) does.
 *
 * @param name the interpreter's path; a relative path is resolved from the root
 * @param of the program, for messages
 * @throws JailbuildError INTERPRETER_NOT_FOUND
 */
export function executableAt(sysroot: Sysroot, name: string, of: Trace): Trace {
  // The kernel resolves relative paths from the working directory: in a jail, its root.
  const found = sysroot.trace(name.startsWith('/') ? name : `/${name}`);
  if (!isTrace(found) || found.stat.type !== 'file') {
    throw new InterpreterError(of, name, 'does not exist');
  }
  if ((found.stat.mode & 0o111) === 0) {
    throw new InterpreterError(of, name, 'is not executable');
  }
  return found;
}

/**
 * Returns the interpreter of a program as an object of its process.
 *
 * @param path its path, as the program names it
 * @throws JailbuildError INTERPRETER_NOT_FOUND, NOT_ELF, NOT_READABLE, MALFORMED_ELF
 */
export function loadInterpreter(
  objects: ObjectTable,
  program: LoadedObject,
  path: string,
  trace: Trace,
): LoadedObject {
  const elf = objects.parse(trace);
  // Linux does not start a program with another kind (fs/binfmt_elf.c, load_elf_interp).
  if (!sameMachine(program.elf.headers, elf.headers)) {
    throw new InterpreterError(program.trace, path, 'is for another machine');
  }
  const name = path.startsWith('/') ? path : `/${path}`;
  return loadedObject(name, trace, elf, undefined, 'interpreter');
}

/** The error of a program whose interpreter cannot start it. */
export class InterpreterError extends JailbuildError {
  /** The interpreter's path, as the program or script names it. */
  readonly interpreter: string;

  /** @param problem the problem, to follow the interpreter's path */
  constructor({ path }: Trace, interpreter: string, problem: string) {
    super('INTERPRETER_NOT_FOUND', `${path}: its interpreter ${interpreter} ${problem}`, path);
    this.interpreter = interpreter;
  }
}
