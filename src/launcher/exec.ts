import { environmentOf, type LaunchOptions } from './options.js';
import { startLauncher } from './run.js';
import { type RunningJail, rightsOf } from './running.js';
import { areText } from './words.js';

/** Options of a run that may differ for a further command. */
export type ExecOptions = Pick<LaunchOptions, 'env' | 'user' | 'cwd' | 'tty' | 'verbose'>;

/**
 * Returns the launcher's arguments for a further command in a running jail.
 *
 * @param command without words, a shell
 * @param env as of `launcherArguments`
 */
export function execArguments(
  jail: RunningJail,
  command: readonly string[],
  options: ExecOptions,
  env: 'values' | 'names' = 'names',
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
    ...Object.entries(environment).flatMap(([name, value]) => [
      '--env',
      env === 'values' ? `${name}=${value}` : name,
    ]),
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
  const isText = areText(execArguments(jail, command, options, 'values'));
  const args = execArguments(jail, command, options, isText ? 'names' : 'values');
  return startLauncher(
    ['--die-with-parent', ...args],
    isText ? environmentOf(options, term()) : {},
  );
}

function term(): string | undefined {
  return process.env.TERM;
}
