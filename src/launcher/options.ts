/** How a command is run in a jail. */
export interface LaunchOptions {
  /** Host name in the jail; the default is the base name of its directory. */
  readonly hostname?: string;
  /** A network namespace of its own, with the loopback interface alone. */
  readonly isolateNetwork?: boolean;
  /** Variables beside the few that every command gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory inside; the default is `/`. */
  readonly cwd?: string;
  /** Tell each step. */
  readonly verbose?: boolean;
}

/** The whole environment of a command, but for what the user adds. */
export function baseEnvironment(term: string | undefined): Record<string, string> {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/',
    ...(term === undefined ? {} : { TERM: term }),
  };
}

/**
 * The launcher's arguments for a run: mount, PID, UTS and IPC namespaces of its own.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 */
export function launcherArguments(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): string[] {
  const env = { ...baseEnvironment(process.env.TERM), ...options.env };
  return [
    ...(options.verbose ? ['-v'] : []),
    ...['-p', '-m', '--ipc', '-u', options.hostname ?? hostnameFor(root)],
    ...(options.isolateNetwork ? ['-n'] : []),
    ...['-c', root],
    ...(options.cwd === undefined ? [] : ['--cwd', options.cwd]),
    ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

/** What of the directory's name a host name may have (hostname(7)). */
function hostnameFor(root: string): string {
  const name = root
    .slice(root.lastIndexOf('/') + 1)
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 63);
  return name || 'jail';
}
