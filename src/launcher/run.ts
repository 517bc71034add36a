import { constants } from 'node:os';
import { execa } from 'execa';
import { JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import { locateLauncher } from './locate.js';
import { type LaunchOptions, launcherArguments } from './options.js';
import { SignalPassing } from './pass-signals.js';

/**
 * Runs a command in a jail, on our own standard streams, to its end.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 * @returns the command's exit status, or 128 and the number of the signal that ended it
 * @throws JailbuildError LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function runJail(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): Promise<number> {
  const signals = new SignalPassing();
  signals.start();
  // However we end: nobody would be there to pass on signals, or to learn what becomes of the command.
  const args = ['--die-with-parent', ...launcherArguments(root, options, command)];
  try {
    // Node makes text of all arguments: other bytes go by a pipe.
    const isText = args.every((arg) => arg.isWellFormed());
    const bytes = Buffer.concat(args.map((arg) => pathBuffer(`${arg}\0`)));
    const started = execa(locateLauncher(), isText ? args : ['--args', '3'], {
      stdio: isText ? 'inherit' : ['inherit', 'inherit', 'inherit', bytes],
      reject: false,
      // The present directory may be one that only its user may enter, and is of no use there.
      cwd: '/',
      // We must not end first, other than by being killed.
      cleanup: false,
    });
    signals.to(started);
    const result = await started;
    if (result.exitCode !== undefined) return result.exitCode;
    if (result.signal !== undefined) return 128 + constants.signals[result.signal];
    throw new JailbuildError(
      'LAUNCHER_FAILED',
      `the launcher did not start: ${result.originalMessage}`,
    );
  } finally {
    signals.stop();
  }
}

/** The launcher's command line for a run, as a shell takes it. */
export function printCommand(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): string {
  return [locateLauncher(), ...launcherArguments(root, options, command)].map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The system calls that the launcher's default filter denies, by their names. */
export async function deniedSystemCalls(): Promise<readonly string[]> {
  const { stdout } = await execa(locateLauncher(), ['--list-denied']);
  return stdout.split('\n');
}
