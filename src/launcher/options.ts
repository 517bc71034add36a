import type { Entry } from '../manifest/manifest.js';
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
  /** It need not be there. */
  readonly optional?: boolean;
  /** Without what is mounted below it. */
  readonly flat?: boolean;
}

/** An empty file system in memory. */
export interface TmpfsMount {
  /** Absolute path in the jail. */
  readonly target: string;
  /** Comma-separated, as tmpfs(5) has them, such as `size=64m`. */
  readonly options?: string;
}

/** Anything else that an option of the launcher puts into the jail. */
export interface PlacedFile {
  /** Such as `--dir`. */
  readonly option: string;
  readonly value: string;
  /** Absolute path in the jail. */
  readonly target: string;
  /** A descriptor of ours that the launcher needs for it. */
  readonly fd?: number;
}

export type Mount = BindMount | TmpfsMount | PlacedFile;

/** How others learn of a run, and hold it, by descriptors of ours; the formats are bubblewrap's. */
export interface Supervision {
  /** A line of JSON: the number of the first process, and the namespaces. */
  readonly infoFd?: number;
  /** The same, and a line with the exit status at the end. */
  readonly statusFd?: number;
  /** The command waits for something to read there. */
  readonly blockFd?: number;
  /** Held open as long as the jail runs. */
  readonly syncFds?: readonly number[];
  /** Files of the jail to hold a lock for reading on. */
  readonly lockFiles?: readonly string[];
}

/** Namespaces that are there already, by their paths. */
export type JoinedNamespaces = Readonly<
  Partial<Record<'user' | 'pid' | 'net' | 'ipc' | 'uts' | 'cgroup' | 'time', string>>
>;

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
  readonly mounts?: readonly Mount[];
  /** What is written to the root goes to memory (`tmpfs`), or to a directory; the root stays as it is. */
  readonly overlay?: string;
  /** A descriptor that gets at the end what the overlay holds. */
  readonly overlayChangesFd?: number;
  readonly joined?: JoinedNamespaces;
  /** Namespaces to go on without where they are refused. */
  readonly unshareTry?: readonly ('user' | 'cgroup')[];
  /** No further user namespace can be made, and that is made sure of. */
  readonly disableUserns?: boolean;
  readonly assertUsernsDisabled?: boolean;
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
  /** The filters for system calls: the default one, none, or an absolute path, one upon the other. */
  readonly seccomp?: string | readonly string[];
  /** Limit the command by Landlock to what the jail was built with, or by rules in a file. */
  readonly landlock?: { readonly entries: readonly Entry[] } | { readonly file: string };
  /** A label of SELinux, or a profile of AppArmor. */
  readonly execLabel?: string;
  /** Octal. */
  readonly umask?: string;
  /** The command itself is the first process. */
  readonly noInit?: boolean;
  readonly newSession?: boolean;
  /** A new terminal. */
  readonly tty?: boolean;
  /** Variables in addition to those that every command gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory inside; the default is `/`. */
  readonly cwd?: string;
  readonly supervision?: Supervision;
  /** The jail ends with the process that called us. */
  readonly dieWithParent?: boolean;
  /** Descriptors that the command has as well. */
  readonly fds?: readonly number[];
  /** So many descriptors from 3 on. */
  readonly preserveFds?: number;
  /** The same, as sockets that the command is to serve (sd_listen_fds(3)). */
  readonly listenFds?: number;
  /** What the command finds as its own name. */
  readonly argv0?: string;
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

export function isTmpfs(mount: Mount): mount is TmpfsMount {
  return !('source' in mount) && !('option' in mount);
}

/** The filters of a run, in their order. */
export function filtersOf({ seccomp = 'default' }: LaunchOptions): readonly string[] {
  return typeof seccomp === 'string' ? [seccomp] : seccomp;
}

/** True for a file with a profile in JSON, rather than a compiled filter. */
export function isProfileFile(filter: string): boolean {
  return filter.endsWith('.json');
}

/** The descriptors of ours that a run needs, beside the standard streams. */
export function descriptorsOf(options: LaunchOptions): readonly number[] {
  const { infoFd, statusFd, blockFd, syncFds = [] } = options.supervision ?? {};
  const count = Math.max(options.preserveFds ?? 0, options.listenFds ?? 0);
  const placed = (options.mounts ?? []).map((mount) => ('fd' in mount ? mount.fd : undefined));
  return [
    ...[...placed, infoFd, statusFd, blockFd].filter((fd) => fd !== undefined),
    ...[...syncFds, ...(options.fds ?? [])],
    ...Array.from({ length: count }, (_, index) => 3 + index),
  ];
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
 * @param env whether variables are there with their values, or the launcher is to find these in its own
 *   environment, where no list of processes shows them
 */
export function launcherArguments(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  env: 'values' | 'names' = 'values',
): string[] {
  return [
    ...(options.verbose ? ['-v'] : []),
    '--sealed',
    ...namespaceArguments(root, options),
    ...['-c', root],
    ...fileArguments(options),
    ...limitArguments(options),
    ...rightsArguments(options),
    ...processArguments(options, env),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

function namespaceArguments(root: string, options: LaunchOptions): string[] {
  const maps = (name: string, list: readonly IdMap[] = []): string[] =>
    list.flatMap(({ inside, outside, count }) => [name, `${inside}:${outside}:${count}`]);
  return [
    ...['-p', '-m', '-u', hostnameOf(root, options)],
    ...(options.shareIpc || options.joined?.ipc ? [] : ['--ipc']),
    ...(options.shareCgroups ? [] : ['--cgroup']),
    ...(options.isolateNetwork && !options.joined?.net ? ['-n'] : []),
    ...(options.userMaps === undefined ? [] : ['--userns']),
    ...Object.entries(options.joined ?? {}).flatMap(([type, at]) => [
      '--namespace',
      `${type}=${at}`,
    ]),
    ...(options.unshareTry?.length
      ? ['--try', [...options.unshareTry].sort().reverse().join()]
      : []),
    ...(options.disableUserns ? ['--disable-userns'] : []),
    ...(options.assertUsernsDisabled ? ['--assert-userns-disabled'] : []),
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
    ...valued('--overlay', options.overlay),
    ...valued('--overlay-changes', options.overlayChangesFd),
    ...(options.ownDev ? [] : ['--dev']),
    ...(proc === 'masked' ? ['--mask-proc'] : []),
    ...(proc === 'none' ? ['--no-proc'] : []),
    ...(options.mounts ?? []).flatMap(mountArgument),
    ...valued('--cwd', options.cwd),
  ];
}

/** A path as the launcher's options take it: a colon in it separates no fields. */
export function escapedPath(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}

function mountArgument(mount: Mount): string[] {
  if ('option' in mount) return [mount.option, mount.value];
  if (isTmpfs(mount)) {
    return ['--tmpfs', [escapedPath(mount.target), mount.options ?? []].flat().join(':')];
  }
  const words = [
    ...(mount.readOnly ? ['ro'] : []),
    ...(mount.optional ? ['try'] : []),
    ...(mount.flat ? ['flat'] : []),
  ];
  const fields = [escapedPath(mount.source), escapedPath(mount.target)];
  if (words.length > 0) fields.push(words.join(','));
  return [mount.devices ? '--dev-bind' : '--bind', fields.join(':')];
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
    ...filtersOf(options).flatMap((filter) => ['--seccomp', filter]),
    ...landlockArguments(options.landlock),
    ...valued('--exec-label', options.execLabel),
    '--keyring',
    ...['--umask', options.umask ?? DEFAULT_UMASK],
  ];
}

function landlockArguments(landlock: LaunchOptions['landlock']): string[] {
  if (landlock === undefined) return [];
  if (!('file' in landlock)) throw new TypeError('the rules of Landlock are not in a file');
  return ['--landlock', landlock.file];
}

function processArguments(options: LaunchOptions, env: 'values' | 'names'): string[] {
  const { infoFd, statusFd, blockFd, syncFds = [], lockFiles = [] } = options.supervision ?? {};
  return [
    ...(options.noInit ? [] : ['--init']),
    ...(options.newSession ? ['--new-session'] : []),
    ...(options.tty ? ['--pty'] : []),
    ...Object.entries(environmentOf(options, process.env.TERM)).flatMap(([name, value]) => [
      '--env',
      env === 'values' ? `${name}=${value}` : name,
    ]),
    ...valued('--info-fd', infoFd),
    ...valued('--json-status-fd', statusFd),
    ...valued('--block-fd', blockFd),
    ...syncFds.flatMap((fd) => valued('--sync-fd', fd)),
    ...lockFiles.flatMap((file) => ['--lock-file', file]),
    ...(options.fds ?? []).flatMap((fd) => valued('--fd', fd)),
    ...valued('--preserve-fds', options.preserveFds),
    ...valued('--listen-fds', options.listenFds),
    ...valued('--argv0', options.argv0),
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
