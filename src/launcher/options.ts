import { STANDARD_PATH } from '../manifest/standard-path.js';
/** A file or directory of the host, mounted in the jail. */
export interface BindMount {
  /** Absolute path on the host. */
  readonly source: string;
  /** Absolute path in the jail. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Device files below it work. */
  readonly devices: boolean;
}

/** An empty file system in memory. */
export interface TmpfsMount {
  /** Absolute path in the jail. */
  readonly target: string;
  /** Comma-separated, as tmpfs(5) has them, such as `size=64m`. */
  readonly options?: string;
}

/** A limit of each process (setrlimit(2)). */
export interface ResourceLimit {
  /** The name of setrlimit(2) in small letters, without its prefix: `nofile`. */
  readonly name: string;
  readonly soft: number | 'unlimited';
  readonly hard: number | 'unlimited';
}

/** Users or groups of a user namespace: `count` of them, from `inside` on, are those from `outside` on. */
export interface IdMap {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** How a command is run in a jail. */
export interface LaunchOptions {
  /** Host name in the jail; the default is the base name of its directory. */
  readonly hostname?: string;
  /** A network namespace of its own, with the loopback interface alone. */
  readonly isolateNetwork?: boolean;
  /** The host's message queues, semaphores and shared memory. */
  readonly shareIpc?: boolean;
  /** The host's view of the cgroup hierarchy. */
  readonly shareCgroups?: boolean;
  /** Users of a new user namespace; without them, the host's. */
  readonly userMaps?: { readonly uids: readonly IdMap[]; readonly gids: readonly IdMap[] };
  /** Whole seconds added to the clocks of a new time namespace. */
  readonly clockOffsets?: { readonly monotonic?: number; readonly boottime?: number };
  readonly readOnly?: boolean;
  /** No /dev is mounted: that of the jail's directory, if any, is used. */
  readonly ownDev?: boolean;
  readonly proc?: 'masked' | 'full' | 'none';
  /** In the order in which they are mounted. */
  readonly mounts?: readonly (BindMount | TmpfsMount)[];
  /** Bytes. */
  readonly memory?: number;
  readonly pids?: number;
  /** A number of processors, such as 1.5. */
  readonly cpus?: number;
  readonly rlimits?: readonly ResourceLimit[];
  /** NAME or UID, and :GROUP or :GID, as the jail's passwd and group have them. */
  readonly user?: string;
  /** The capabilities that root in the jail has, and of these the ones that other users have. */
  readonly capabilities?: CapabilityChoice;
  readonly allowNewPrivileges?: boolean;
  /** The filter for system calls: the default one, none, or an absolute path. */
  readonly seccomp?: string;
  /** Octal. */
  readonly umask?: string;
  /** The command itself is the first process. */
  readonly noInit?: boolean;
  readonly newSession?: boolean;
  /** A new terminal. */
  readonly tty?: boolean;
  /** Variables beside the few that every command gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory inside; the default is `/`. */
  readonly cwd?: string;
  /** Tell each step. */
  readonly verbose?: boolean;
}

/** Capabilities of a run, by their names in small letters. */
export interface CapabilityChoice {
  readonly bounding: readonly string[];
  readonly ambient: readonly string[];
}

/**
 * The capabilities of capabilities(7) that root in a jail has if nothing else is said: those by which
 * the usual servers manage their own files, users and ports. The others reach beyond the jail, or are of
 * use to attacks alone. docs/security.md has the reasons.
 */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'chown',
  'dac_override',
  'fowner',
  'fsetid',
  'kill',
  'net_bind_service',
  'setgid',
  'setuid',
  'sys_chroot',
];

export const DEFAULT_UMASK = '022';

/** Of each of this many microseconds a limit on processors gives a part. */
export const CPU_PERIOD = 100_000;

export function isTmpfs(mount: BindMount | TmpfsMount): mount is TmpfsMount {
  return !('source' in mount);
}

/** The whole environment of a command, but for what the user adds. */
export function environmentOf(
  { env, user }: LaunchOptions,
  term: string | undefined,
): Record<string, string> {
  return {
    PATH: STANDARD_PATH.join(':'),
    // That of another user is in the jail's passwd.
    ...(user === undefined ? { HOME: '/' } : {}),
    ...(term === undefined ? {} : { TERM: term }),
    ...env,
  };
}

/**
 * The launcher's arguments for a run: namespaces of its own but for the network and users, an init, a
 * minimal /dev, a masked /proc, few capabilities, and the default filter for system calls.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 */
export function launcherArguments(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): string[] {
  return [
    ...(options.verbose ? ['-v'] : []),
    '--sealed',
    ...namespaceArguments(root, options),
    ...['-c', root],
    ...fileArguments(options),
    ...limitArguments(options),
    ...rightsArguments(options),
    ...processArguments(options),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

function namespaceArguments(root: string, options: LaunchOptions): string[] {
  const maps = (name: string, list: readonly IdMap[] = []): string[] =>
    list.flatMap(({ inside, outside, count }) => [name, `${inside}:${outside}:${count}`]);
  return [
    ...['-p', '-m', '-u', hostnameOf(root, options)],
    ...(options.shareIpc ? [] : ['--ipc']),
    ...(options.shareCgroups ? [] : ['--cgroup']),
    ...(options.isolateNetwork ? ['-n'] : []),
    ...(options.userMaps === undefined ? [] : ['--userns']),
    ...maps('--uid-map', options.userMaps?.uids),
    ...maps('--gid-map', options.userMaps?.gids),
    ...(options.clockOffsets === undefined ? [] : ['--time']),
    ...valued('--monotonic', options.clockOffsets?.monotonic),
    ...valued('--boottime', options.clockOffsets?.boottime),
  ];
}

function fileArguments(options: LaunchOptions): string[] {
  const { proc = 'masked' } = options;
  return [
    ...(options.readOnly ? ['--read-only'] : []),
    ...(options.ownDev ? [] : ['--dev']),
    ...(proc === 'masked' ? ['--mask-proc'] : []),
    ...(proc === 'none' ? ['--no-proc'] : []),
    ...(options.mounts ?? []).flatMap(mountArgument),
    ...valued('--cwd', options.cwd),
  ];
}

function mountArgument(mount: BindMount | TmpfsMount): string[] {
  if (isTmpfs(mount)) {
    return ['--tmpfs', [mount.target, mount.options ?? []].flat().join(':')];
  }
  const { source, target, readOnly, devices } = mount;
  return [devices ? '--dev-bind' : '--bind', `${source}:${target}${readOnly ? ':ro' : ''}`];
}

function limitArguments({ memory, pids, cpus, rlimits = [] }: LaunchOptions): string[] {
  return [
    ...valued('--memory', memory),
    ...valued('--pids', pids),
    ...valued('--cpu-quota', cpus === undefined ? undefined : Math.round(cpus * CPU_PERIOD)),
    ...rlimits.flatMap(({ name, soft, hard }) => ['--rlimit', `${name}=${soft}:${hard}`]),
  ];
}

function rightsArguments(options: LaunchOptions): string[] {
  const { bounding = DEFAULT_CAPABILITIES, ambient = [] } = options.capabilities ?? {};
  const names = (list: readonly string[]): string => list.join(',') || 'none';
  return [
    ...valued('--user', options.user),
    ...['--caps', names(bounding)],
    ...(ambient.length === 0 ? [] : ['--ambient', names(ambient)]),
    ...(options.allowNewPrivileges ? [] : ['--no-new-privs']),
    ...['--seccomp', options.seccomp ?? 'default'],
    '--keyring',
    ...['--umask', options.umask ?? DEFAULT_UMASK],
  ];
}

function processArguments(options: LaunchOptions): string[] {
  return [
    ...(options.noInit ? [] : ['--init']),
    ...(options.newSession ? ['--new-session'] : []),
    ...(options.tty ? ['--pty'] : []),
    ...Object.entries(environmentOf(options, process.env.TERM)).flatMap(([name, value]) => [
      '--env',
      `${name}=${value}`,
    ]),
  ];
}

function valued(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

/** What was asked for, or what of the directory's name a host name may have (hostname(7)). */
export function hostnameOf(root: string, { hostname }: LaunchOptions): string {
  if (hostname !== undefined) return hostname;
  const name = root
    .slice(root.lastIndexOf('/') + 1)
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 63);
  return name || 'jail';
}
