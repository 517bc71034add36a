import { type ErrorCode, JailbuildError } from '../errors.js';
import { nativeProgram } from '../fs/native-program.js';

/**
 * Locates the launcher built for this machine.
 *
 * @throws JailbuildError LAUNCHER_MISSING
 */
export function locateLauncher(): string {
  return locate('invoke_ns', 'launcher', 'LAUNCHER_MISSING');
}

/**
 * Locates the observer built for this machine.
 *
 * @throws JailbuildError OBSERVER_MISSING
 */
export function locateObserver(): string {
  return locate('jail_observer', 'observer', 'OBSERVER_MISSING');
}

function locate(program: string, what: string, code: ErrorCode): string {
  const { found, expected } = nativeProgram(program);
  if (found !== undefined) return found;
  throw new JailbuildError(
    code,
    `${expected}: the ${what} is not built: install a C compiler and run npm run build`,
    expected,
  );
}
