import { JailbuildError } from '../errors.js';
import {
  CPU_PERIOD,
  DEFAULT_CAPABILITIES,
  DEFAULT_UMASK,
  environmentOf,
  filtersOf,
  isTmpfs,
  type LaunchOptions,
  type Mount,
} from './options.js';

/** Names of limits in systemd.exec(5), by those of setrlimit(2). */
const LIMITS: Readonly<Record<string, string>> = {
  ...{ as: 'AS', core: 'CORE', cpu: 'CPU', data: 'DATA', fsize: 'FSIZE', locks: 'LOCKS' },
  ...{ memlock: 'MEMLOCK', msgqueue: 'MSGQUEUE', nice: 'NICE', nofile: 'NOFILE' },
  ...{ nproc: 'NPROC', rss: 'RSS', rtprio: 'RTPRIO', rttime: 'RTTIME' },
  ...{ sigpending: 'SIGPENDING', stack: 'STACK' },
};

/** The command of a unit. */
export interface UnitCommand {
  /** The first word is an absolute path in the root file system. */
  readonly command: readonly string[];
  readonly description: string;
  /** Numeric, since systemd looks names up on the host. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly home?: string };
}

/**
 * Returns the same run as a systemd service (systemd.exec(5), systemd.resource-control(5)). The unit does not name its
 * root: `portablectl attach` adds RootImage= or RootDirectory=.
 *
 * @param denied names of the system calls that the default filter denies
 * @throws JailbuildError USAGE for options that a unit cannot express
 */
export function systemdUnit(
  options: LaunchOptions,
  { command, description, user }: UnitCommand,
  denied: readonly string[],
): string {
  refuseUnsayable(options);
  const sections = {
    Unit: [['Description', specifierSafe(description).replace(/\s+/g, ' ')]],
    Service: [
      ['Type', 'exec'],
      ['ExecStart', commandLine(command, options.argv0)],
      ...processSettings(options, user),
      ...fileSettings(options),
      ...rightsSettings(options, denied),
      ...limitSettings(options),
    ],
    Install: [['WantedBy', 'multi-user.target']],
  };
  return Object.entries(sections)
    .map(([name, lines]) => [`[${name}]`, ...lines.map((line) => line.join('='))].join('\n'))
    .join('\n\n')
    .concat('\n');
}

function refuseUnsayable(options: LaunchOptions): void {
  const { supervision = {}, joined, clockOffsets, userMaps } = options;
  const filters = filtersOf(options);
  const asked = {
    '--hostname': options.hostname,
    '--overlay': options.overlay,
    '--network ns:, --userns PATH or --pidns': joined && Object.keys(joined).length > 0,
    '--monotonic or --boottime': clockOffsets,
    '--userns': userMaps,
    '--exec-label': options.execLabel,
    '--landlock': options.landlock,
    '--no-dev': options.ownDev,
    '--proc none': options.proc === 'none',
    '--tty': options.tty,
    '--seccomp with a file': filters.some((filter) => filter !== 'default' && filter !== 'off'),
    '--lock-file': supervision.lockFiles?.length,
  };
  for (const [option, value] of Object.entries(asked)) {
    if (value)
      throw new JailbuildError(
        'USAGE',
        `${option}: a systemd unit cannot express this option: leave it out`,
      );
  }
}

type Setting = readonly [string, string];

function processSettings(options: LaunchOptions, user: UnitCommand['user']): Setting[] {
  const env = {
    ...(user?.home === undefined ? {} : { HOME: user.home }),
    ...environmentOf(options, undefined),
  };
  return [
    ...(user === undefined
      ? []
      : ([
          ['User', String(user.uid)],
          ['Group', String(user.gid)],
        ] as const)),
    ['WorkingDirectory', specifierSafe(options.cwd ?? '/')],
    ...Object.entries(env).map(
      ([name, value]): Setting => ['Environment', quoted(specifierSafe(`${name}=${value}`))],
    ),
    ['UMask', `0${(options.umask ?? DEFAULT_UMASK).replace(/^0+/, '')}`],
    ['KeyringMode', 'private'],
  ];
}

function fileSettings({ readOnly, proc = 'masked', mounts = [] }: LaunchOptions): Setting[] {
  return [
    // Mounts /proc, /sys, /dev and /run, with only null, zero, random and the like in /dev.
    ['MountAPIVFS', 'yes'],
    ['PrivateDevices', 'yes'],
    ['PrivateMounts', 'yes'],
    ['ProtectProc', 'invisible'],
    ...(proc === 'masked'
      ? (['ProtectKernelTunables', 'ProtectKernelLogs', 'ProtectKernelModules'] as const).map(
          (name): Setting => [name, 'yes'],
        )
      : []),
    ...(readOnly ? [['ProtectSystem', 'strict'] as const] : []),
    ...mounts.map(mountSetting),
  ];
}

function mountSetting(mount: Mount): Setting {
  const unsayable = (option: string) =>
    new JailbuildError(
      'USAGE',
      `${option}: a systemd unit cannot express this option: leave it out`,
    );
  if ('option' in mount) throw unsayable(mount.option);
  if (isTmpfs(mount)) {
    const shared = ['/tmp', '/var/tmp', '/dev/shm'].includes(mount.target);
    const options = mount.options ?? (shared ? 'mode=1777' : 'mode=0755');
    return ['TemporaryFileSystem', quoted(`${pathField(mount.target)}:nosuid,nodev,${options}`)];
  }
  if (mount.devices) throw unsayable('--dev-bind');
  const fields = [mount.source, mount.target].map(pathField);
  const kind = mount.flat ? ':norbind' : '';
  const text = `${mount.optional ? '-' : ''}${fields.join(':')}${kind}`;
  return [mount.readOnly ? 'BindReadOnlyPaths' : 'BindPaths', quoted(text)];
}

function rightsSettings(options: LaunchOptions, denied: readonly string[]): Setting[] {
  const { bounding = DEFAULT_CAPABILITIES, ambient = [] } = options.capabilities ?? {};
  const names = (list: readonly string[]) =>
    list.map((name) => `CAP_${name.toUpperCase()}`).join(' ');
  const isFiltered = filtersOf(options).includes('default');
  return [
    ['CapabilityBoundingSet', names(bounding)],
    ['AmbientCapabilities', names(ambient)],
    ['NoNewPrivileges', options.allowNewPrivileges ? 'no' : 'yes'],
    ['ProtectHostname', 'yes'],
    ['ProtectControlGroups', options.shareCgroups ? 'no' : 'yes'],
    ['PrivateIPC', options.shareIpc ? 'no' : 'yes'],
    ...(options.isolateNetwork ? [['PrivateNetwork', 'yes'] as const] : []),
    ...(isFiltered
      ? ([
          ['RestrictNamespaces', 'yes'],
          ['RestrictAddressFamilies', '~AF_ALG AF_VSOCK'],
          ['SystemCallFilter', `~${denied.join(' ')}`],
          ['SystemCallErrorNumber', 'EPERM'],
        ] as const)
      : []),
  ];
}

function limitSettings({ memory, pids, cpus, rlimits = [] }: LaunchOptions): Setting[] {
  const limit = (value: number | 'unlimited') => (value === 'unlimited' ? 'infinity' : value);
  return [
    ...(memory === undefined
      ? []
      : ([
          ['MemoryMax', String(memory)],
          ['MemorySwapMax', '0'],
        ] as const)),
    ...(pids === undefined ? [] : [['TasksMax', String(pids)] as const]),
    ...(cpus === undefined
      ? []
      : [['CPUQuota', `${Math.max(1, Math.round((cpus * CPU_PERIOD) / 1000))}%`] as const]),
    ...rlimits.map(
      ({ name, soft, hard }): Setting => [`Limit${LIMITS[name]}`, `${limit(soft)}:${limit(hard)}`],
    ),
  ];
}

/** Formats ExecStart= (systemd.service(5), "Command lines"): quoted words without specifiers or variables. */
function commandLine(
  [program = '', ...args]: readonly string[],
  argv0: string | undefined,
): string {
  const word = (text: string) => quoted(specifierSafe(text).replaceAll('$', () => '$$'));
  const first = quoted(specifierSafe(program));
  const own = argv0 === undefined ? [first] : [`@${first}`, word(argv0)];
  return [...own, ...args.map(word)].join(' ');
}

/** Escapes the per cent sign, which begins specifiers (systemd.unit(5), "Specifiers"). */
function specifierSafe(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Quotes a word (systemd.syntax(7), "Quoting"). */
function quoted(text: string): string {
  if (/^[\w@+=:,./%-]+$/.test(text)) return text;
  const special: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t' };
  return `"${text.replace(/[\\"\n\t]/g, (char) => special[char] ?? `\\${char}`)}"`;
}

/** Escapes a path for BindPaths= and similar options, whose fields are separated by colons. */
function pathField(text: string): string {
  return specifierSafe(text.replaceAll(':', '\\:'));
}
