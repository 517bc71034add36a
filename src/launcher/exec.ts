import { ownVariable } from '../fs/own-environment.js';
import { environmentOf, type LaunchOptions } from './options.js';
import { startLauncher } from './run.js';
import { type RunningJail, rightsOf } from './running.js';

/** Options of a run that may differ for a further command. */
export type ExecOptions = Pick<LaunchOptions, 'env' | 'user' | 'cwd' | 'tty' | 'verbose'>;

/**
 * Returns the launcher's arguments for a further command in a running jail; it reads the variables from its environment.
 *
 * @param command without words, a shell
 */
export function execArguments(
  jail: RunningJail,
  command: readonly string[],
  options: ExecOptions,
): string[] {
  const { rights, user = options.user } = rightsOf(jail.words);
  const who = options.user ?? user;
  const environment = environmentOf({ ...options, ...(who ? { user: who } : {}) }, term());
  return [
    ...(options.verbose ? ['-v'] : []),
    ...['--sealed', '--join', `${jail.entry}:${jail.start}`],
    ...(who === undefined ? [] : ['--user', who]),
    ...rights,
    // A signal to the process group would also reach the launcher.
    options.tty ? '--pty' : '--new-session',
    ...Object.keys(environment).flatMap((name) => ['--env', name]),
    ...(options.cwd === undefined ? [] : ['--cwd', options.cwd]),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

/**
 * Runs a further command in a running jail on this process's standard streams and waits for it.
 *
 * @returns the command's exit status, or 128 plus the number of the signal that ended it
 * @throws JailbuildError LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function execInRunningJail(
  jail: RunningJail,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const args = execArguments(jail, command, options);
  return startLauncher(['--die-with-parent', ...args], environmentOf(options, term()));
}

function term(): string | undefined {
  return ownVariable('TERM');
}
