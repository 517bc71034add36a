import { ownVariable } from '../fs/own-environment.js';
import type { Entry } from '../manifest/manifest.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import { baseName } from '../text/base-name.js';
import { escapeColons } from '../text/colon.js';

/** A file or directory of the host, mounted in the jail. */
export interface BindMount {
  /** Absolute path on the host. */
  readonly source: string;
  /** Absolute path in the jail. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Whether device files below it work. */
  readonly devices: boolean;
  /** Whether the source may be missing. */
  readonly optional?: boolean;
  /** Whether submounts are left out. */
  readonly flat?: boolean;
}

/** An empty file system in memory. */
export interface TmpfsMount {
  /** Absolute path in the jail. */
  readonly target: string;
  /** Comma-separated, as in tmpfs(5), such as `size=64m`. */
  readonly options?: string;
}

/** Anything else that a launcher option places in the jail. */
export interface PlacedFile {
  /** Such as `--dir`. */
  readonly option: string;
  readonly value: string;
  /** Absolute path in the jail. */
  readonly target: string;
  /** A descriptor of this process that the launcher needs for it. */
  readonly fd?: number;
  /** The directories of the host that are seen there, below what the run writes; the topmost first. */
  readonly lowers?: readonly string[];
}

export type Mount = BindMount | TmpfsMount | PlacedFile;

/** How other processes observe and control a run, by descriptors of this process; formats are bubblewrap's. */
export interface Supervision {
  /** Receives a line of JSON: the PID of the first process, and the namespaces. */
  readonly infoFd?: number;
  /** Receives the same, and a line with the exit status at the end. */
  readonly statusFd?: number;
  /** The command starts when this becomes readable. */
  readonly blockFd?: number;
  /** Held open while the jail runs. */
  readonly syncFds?: readonly number[];
  /** Files of the jail on which to hold read locks. */
  readonly lockFiles?: readonly string[];
}

/** Existing namespaces to join, by their paths. */
export type JoinedNamespaces = Readonly<
  Partial<Record<'user' | 'pid' | 'net' | 'ipc' | 'uts' | 'cgroup' | 'time', string>>
>;

/** A resource limit of each process (setrlimit(2)). */
export interface ResourceLimit {
  /** Name from setrlimit(2) in lower case without its prefix: `nofile`. */
  readonly name: string;
  readonly soft: number | 'unlimited';
  readonly hard: number | 'unlimited';
}

/** Maps `count` users or groups of a user namespace, from `inside` on, to those from `outside` on. */
export interface IdMap {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** Options for running a command in a jail. */
export interface LaunchOptions {
  /** Host name in the jail; default: the base name of its directory. */
  readonly hostname?: string;
  /** A new network namespace with only the loopback interface. */
  readonly isolateNetwork?: boolean;
  /** Share the host's message queues, semaphores and shared memory. */
  readonly shareIpc?: boolean;
  /** Share the host's view of the cgroup hierarchy. */
  readonly shareCgroups?: boolean;
  /** ID maps of a new user namespace; without them, the host's users. */
  readonly userMaps?: { readonly uids: readonly IdMap[]; readonly gids: readonly IdMap[] };
  /** Seconds (integers) added to the clocks of a new time namespace. */
  readonly clockOffsets?: { readonly monotonic?: number; readonly boottime?: number };
  readonly readOnly?: boolean;
  /** Mount no /dev; use the one in the jail's directory, if any. */
  readonly ownDev?: boolean;
  readonly proc?: 'masked' | 'full' | 'none';
  /** In mount order. */
  readonly mounts?: readonly Mount[];
  /** Writes to the root go to memory (`tmpfs`) or to a directory; the root itself stays unchanged. */
  readonly overlay?: string;
  /** A descriptor that receives the overlay's content at the end. */
  readonly overlayChangesFd?: number;
  readonly joined?: JoinedNamespaces;
  /** Namespaces to do without if the kernel refuses them. */
  readonly unshareTry?: readonly ('user' | 'cgroup')[];
  /** Prevent further user namespaces, and verify that. */
  readonly disableUserns?: boolean;
  readonly assertUsernsDisabled?: boolean;
  /** In bytes. */
  readonly memory?: number;
  readonly pids?: number;
  /** Number of processors, such as 1.5. */
  readonly cpus?: number;
  readonly rlimits?: readonly ResourceLimit[];
  /** NAME or UID, and :GROUP or :GID, looked up in the jail's passwd and group. */
  readonly user?: string;
  /** Capabilities of root in the jail, and the subset that other users have. */
  readonly capabilities?: CapabilityChoice;
  readonly allowNewPrivileges?: boolean;
  /** System call filters: the default one, none, or absolute paths; several are stacked. */
  readonly seccomp?: string | readonly string[];
  /** Limit the command by Landlock to the content that the jail was built with, or by rules in a file. */
  readonly landlock?: { readonly entries: readonly Entry[] } | { readonly file: string };
  /** An SELinux label or an AppArmor profile. */
  readonly execLabel?: string;
  /** In octal. */
  readonly umask?: string;
  /** Run the command itself as PID 1. */
  readonly noInit?: boolean;
  readonly newSession?: boolean;
  /** Allocate a new terminal. */
  readonly tty?: boolean;
  /** Variables in addition to the default environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory inside; default: `/`. */
  readonly cwd?: string;
  readonly supervision?: Supervision;
  /** End the jail when the calling process ends. */
  readonly dieWithParent?: boolean;
  /** Descriptors passed to the command. */
  readonly fds?: readonly number[];
  /** Number of descriptors from 3 on passed to the command. */
  readonly preserveFds?: number;
  /** Number of sockets from 3 on passed to the command (sd_listen_fds(3)). */
  readonly listenFds?: number;
  /** The command's argv[0]. */
  readonly argv0?: string;
  /** Report each step. */
  readonly verbose?: boolean;
}

/** Capabilities of a run, in lower case. */
export interface CapabilityChoice {
  readonly bounding: readonly string[];
  readonly ambient: readonly string[];
}

/**
 * Capabilities (capabilities(7)) that root in a jail has by default: those with which common servers manage their own
 * files, users and ports. The others reach beyond the jail or mainly serve attacks. docs/security.md gives the reasons.
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

/** Period of the CPU limit, in microseconds. */
export const CPU_PERIOD = 100_000;

export function isTmpfs(mount: Mount): mount is TmpfsMount {
  return !('source' in mount) && !('option' in mount);
}

/** Returns the filters of a run in order. */
export function filtersOf({ seccomp = 'default' }: LaunchOptions): readonly string[] {
  return typeof seccomp === 'string' ? [seccomp] : seccomp;
}

/** Returns whether a file is a profile in JSON rather than a compiled filter. */
export function isProfileFile(filter: string): boolean {
  return filter.endsWith('.json');
}

/** Returns the descriptors of this process that a run needs besides the standard streams. */
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

/** Returns the complete environment of a command, without additions by the user. */
export function environmentOf(
  { env, user }: LaunchOptions,
  term: string | undefined,
): Record<string, string> {
  return {
    PATH: STANDARD_PATH.join(':'),
    // Other users' homes are in the jail's passwd.
    ...(user === undefined ? { HOME: '/' } : {}),
    ...(term === undefined ? {} : { TERM: term }),
    ...env,
  };
}

/** The arguments of the launcher that one option of `run` changes, or that none changes. */
export interface LauncherPart {
  /** Name of the option; `mounts` for all that mount or make something, empty for none or several others. */
  readonly name: string;
  readonly words: readonly string[];
}

/**
 * Returns the launcher's arguments for a run: new namespaces except network and user, an init, a minimal /dev, a masked
 * /proc, few capabilities, and the default system call filter.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 * @param env whether to pass variables with their values, or by name for the launcher to read from its own environment,
 * where process lists do not show them
 */
export function launcherArguments(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  env: 'values' | 'names' = 'values',
): string[] {
  return [
    ...launcherParts(root, options, env).flatMap(({ words }) => words),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

/** Returns the launcher's arguments without a command, in their order (`launcherArguments`). */
export function launcherParts(
  root: string,
  options: LaunchOptions,
  env: 'values' | 'names',
): LauncherPart[] {
  return [
    fixed(...(options.verbose ? ['-v'] : []), '--sealed', '-p', '-m'),
    ...namespaceParts(root, options),
    fixed('-c', root),
    ...fileParts(options),
    ...limitParts(options),
    ...rightsParts(options),
    ...processParts(options, env),
  ];
}

function fixed(...words: readonly string[]): LauncherPart {
  return { name: '', words };
}

function part(name: string, ...words: readonly string[]): LauncherPart {
  return { name, words };
}

/** A part that is the launcher's option of a value, or empty without the value. */
function valuedPart(
  name: string,
  option: string,
  value: string | number | undefined,
): LauncherPart {
  return part(name, ...valued(option, value));
}

/** A part that is a switch of the launcher, or empty. */
function switchPart(name: string, option: string, isOn: boolean | undefined): LauncherPart {
  return part(name, ...(isOn ? [option] : []));
}

function namespaceParts(root: string, options: LaunchOptions): LauncherPart[] {
  const maps = (name: string, list: readonly IdMap[] = []): string[] =>
    list.flatMap(({ inside, outside, count }) => [name, `${inside}:${outside}:${count}`]);
  return [
    part('hostname', '-u', hostnameOf(root, options)),
    switchPart('ipc', '--ipc', !(options.shareIpc || options.joined?.ipc)),
    switchPart('cgroupns', '--cgroup', !options.shareCgroups),
    switchPart('network', '-n', options.isolateNetwork && !options.joined?.net),
    fixed(
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
    ),
  ];
}

function fileParts(options: LaunchOptions): LauncherPart[] {
  const { proc = 'masked' } = options;
  return [
    switchPart('read-only', '--read-only', options.readOnly),
    valuedPart('overlay', '--overlay', options.overlay),
    fixed(...valued('--overlay-changes', options.overlayChangesFd)),
    switchPart('no-dev', '--dev', !options.ownDev),
    part(
      'proc',
      ...(proc === 'masked' ? ['--mask-proc'] : []),
      ...(proc === 'none' ? ['--no-proc'] : []),
    ),
    part('mounts', ...(options.mounts ?? []).flatMap(mountArguments)),
    valuedPart('workdir', '--cwd', options.cwd),
  ];
}

/** Returns the launcher's arguments for a mount, an option and its value. */
export function mountArguments(mount: Mount): string[] {
  if ('option' in mount) return [mount.option, mount.value];
  if (isTmpfs(mount)) {
    return ['--tmpfs', [escapeColons(mount.target), mount.options ?? []].flat().join(':')];
  }
  const words = [
    ...(mount.readOnly ? ['ro'] : []),
    ...(mount.optional ? ['try'] : []),
    ...(mount.flat ? ['flat'] : []),
  ];
  const fields = [escapeColons(mount.source), escapeColons(mount.target)];
  if (words.length > 0) fields.push(words.join(','));
  return [mount.devices ? '--dev-bind' : '--bind', fields.join(':')];
}

function limitParts({ memory, pids, cpus, rlimits = [] }: LaunchOptions): LauncherPart[] {
  const quota = cpus === undefined ? undefined : Math.round(cpus * CPU_PERIOD);
  return [
    valuedPart('memory', '--memory', memory),
    valuedPart('pids-limit', '--pids', pids),
    valuedPart('cpus', '--cpu-quota', quota),
    fixed(...rlimits.flatMap(({ name, soft, hard }) => ['--rlimit', `${name}=${soft}:${hard}`])),
  ];
}

function rightsParts(options: LaunchOptions): LauncherPart[] {
  const { bounding = DEFAULT_CAPABILITIES, ambient = [] } = options.capabilities ?? {};
  const names = (list: readonly string[]): string => list.join(',') || 'none';
  return [
    valuedPart('user', '--user', options.user),
    part('cap-drop', '--caps', names(bounding)),
    fixed(...(ambient.length === 0 ? [] : ['--ambient', names(ambient)])),
    switchPart('allow-new-privileges', '--no-new-privs', !options.allowNewPrivileges),
    fixed(
      ...filtersOf(options).flatMap((filter) => ['--seccomp', filter]),
      ...landlockArguments(options.landlock),
      ...valued('--exec-label', options.execLabel),
      '--keyring',
    ),
    part('umask', '--umask', options.umask ?? DEFAULT_UMASK),
  ];
}

function landlockArguments(landlock: LaunchOptions['landlock']): string[] {
  if (landlock === undefined) return [];
  if (!('file' in landlock)) throw new TypeError('the rules of Landlock are not in a file');
  return ['--landlock', landlock.file];
}

function processParts(options: LaunchOptions, env: 'values' | 'names'): LauncherPart[] {
  const { infoFd, statusFd, blockFd, syncFds = [], lockFiles = [] } = options.supervision ?? {};
  return [
    switchPart('no-init', '--init', !options.noInit),
    switchPart('new-session', '--new-session', options.newSession),
    switchPart('tty', '--pty', options.tty),
    part(
      'env',
      ...Object.entries(environmentOf(options, ownVariable('TERM'))).flatMap(([name, value]) => [
        '--env',
        env === 'values' ? `${name}=${value}` : name,
      ]),
    ),
    fixed(
      ...valued('--info-fd', infoFd),
      ...valued('--json-status-fd', statusFd),
      ...valued('--block-fd', blockFd),
      ...syncFds.flatMap((fd) => valued('--sync-fd', fd)),
      ...lockFiles.flatMap((file) => ['--lock-file', file]),
      ...(options.fds ?? []).flatMap((fd) => valued('--fd', fd)),
      ...valued('--preserve-fds', options.preserveFds),
      ...valued('--listen-fds', options.listenFds),
    ),
    valuedPart('argv0', '--argv0', options.argv0),
  ];
}

function valued(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

/** Returns the requested host name, or the valid characters of the directory's name (hostname(7)). */
export function hostnameOf(root: string, { hostname }: LaunchOptions): string {
  if (hostname !== undefined) return hostname;
  const name = baseName(root)
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 63);
  return name || 'jail';
}
