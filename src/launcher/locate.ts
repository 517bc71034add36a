import { JailbuildError } from '../errors.js';
import { nativeProgram } from '../fs/native-program.js';

/**
 * Locates the launcher built for this machine.
 *
 * @throws JailbuildError LAUNCHER_MISSING
 */
export function locateLauncher(): string {
  const { found, expected } = nativeProgram('invoke_ns');
  if (found !== undefined) return found;
  throw new JailbuildError(
    'LAUNCHER_MISSING',
    `${expected}: the launcher is not built; install a C compiler and run npm run build`,
    expected,
  );
}
