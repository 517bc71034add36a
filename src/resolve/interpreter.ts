import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';

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
