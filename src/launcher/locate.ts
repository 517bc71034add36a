import { type ErrorCode, JailbuildError } from '../errors.js';
import { nativeProgram } from '../fs/native-program.js';

/** How to start the launcher, beside its streams and environment (execa). */
export const LAUNCHER_PROCESS = {
  reject: false,
  extendEnv: false,
  // The current directory may be accessible to its user alone, and is not needed.
  cwd: '/',
  // This process must outlive the jail unless it is killed.
  cleanup: false,
} as const;

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
