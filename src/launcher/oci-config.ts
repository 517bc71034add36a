import { JailbuildError } from '../errors.js';
import { ownVariable } from '../fs/own-environment.js';
import { Sysroot } from '../fs/sysroot.js';
import { identityOf } from './identity.js';
import {
  CPU_PERIOD,
  DEFAULT_CAPABILITIES,
  DEFAULT_UMASK,
  environmentOf,
  filtersOf,
  hostnameOf,
  type IdMap,
  isProfileFile,
  isTmpfs,
  type LaunchOptions,
  type Mount,
} from './options.js';
import { readSeccompProfile } from './seccomp-file.js';

/** config.json of the OCI runtime specification, as far as a run needs it. */
type Json = Readonly<Record<string, unknown>>;

/** Lists from proc.c: paths in /proc that are masked, and those that are read-only. */
const MASKED = [
  ...['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi'],
  ...['timer_list', 'timer_stats'],
];
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];

/** Flags of clone(2) for new user, mount, PID, network, UTS, IPC and cgroup namespaces. */
const NEW_NAMESPACES = [
  ...[0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x04000000, 0x08000000, 0x02000000],
];
/** Flag of unshare(2) for a new time namespace; clone(2) does not accept it. */
const NEW_TIME = 0x80;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const AF_ALG = 38;
const AF_VSOCK = 40;
const EPERM = 1;
const ENOSYS = 38;
const LOWER_HALF = 0xffffffff;

/**
 * Returns the configuration of the same run for an OCI runtime (runtime-spec 1.0), which has no init of its own.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 * @param denied names of the system calls that the default filter denies
 * @throws JailbuildError USAGE for options that a bundle cannot express
 */
export function ociConfig(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  denied: readonly string[],
): Json {
  refuseUnsayable(options);
  return {
    ociVersion: options.clockOffsets === undefined ? '1.0.2' : '1.1.0',
    process: processOf(root, options, command),
    root: { path: root, readonly: options.readOnly ?? false },
    hostname: hostnameOf(root, options),
    mounts: [...standardMounts(options), ...(options.mounts ?? []).map(mountOf)],
    linux: linuxOf(options, denied),
  };
}

function refuseUnsayable(options: LaunchOptions): void {
  const { overlay, joined, disableUserns, execLabel, argv0 } = options;
  const asked = {
    ...{ '--overlay': overlay, '--network ns:, --userns PATH or --pidns': joined },
    ...{ '--disable-userns': disableUserns, '--exec-label': execLabel, '--argv0': argv0 },
  };
  for (const [option, value] of Object.entries(asked))
    if (value)
      throw new JailbuildError(
        'USAGE',
        `${option}: an OCI bundle cannot express this option: leave it out`,
      );
}

function processOf(root: string, options: LaunchOptions, command: readonly string[]): Json {
  const { uid, gid, home } = identityOf(new Sysroot(root), options.user);
  const { bounding = DEFAULT_CAPABILITIES, ambient = [] } = options.capabilities ?? {};
  const named = (names: readonly string[]): string[] =>
    names.map((name) => `CAP_${name.toUpperCase()}`);
  const own = named(uid === 0 ? bounding : ambient);
  const env = {
    ...(home === undefined ? {} : { HOME: home }),
    ...environmentOf(options, ownVariable('TERM')),
  };
  return {
    terminal: options.tty ?? false,
    user: { uid, gid, umask: Number.parseInt(options.umask ?? DEFAULT_UMASK, 8) },
    args: command.length === 0 ? ['sh'] : command,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd: options.cwd ?? '/',
    capabilities: {
      bounding: named(bounding),
      effective: own,
      permitted: own,
      inheritable: named(ambient),
      ambient: named(ambient),
    },
    rlimits: (options.rlimits ?? []).map(({ name, soft, hard }) => ({
      type: `RLIMIT_${name.toUpperCase()}`,
      soft: limitOf(soft),
      hard: limitOf(hard),
    })),
    noNewPrivileges: !options.allowNewPrivileges,
  };
}

/** RLIM_INFINITY is a uint64 that no double represents exactly; uses the largest one below it. */
function limitOf(value: number | 'unlimited'): number {
  return value === 'unlimited' ? Number.MAX_SAFE_INTEGER : value;
}

function standardMounts({ ownDev, proc = 'masked' }: LaunchOptions): Json[] {
  const mount = (destination: string, type: string, options: string, source = type): Json => ({
    destination,
    type,
    source,
    options: options.split(','),
  });
  return [
    ...(proc === 'none' ? [] : [mount('/proc', 'proc', 'nosuid,noexec,nodev')]),
    ...(ownDev
      ? []
      : [
          mount('/dev', 'tmpfs', 'nosuid,noexec,mode=755,size=65536k', 'tmpfs'),
          mount('/dev/pts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620'),
          mount('/dev/shm', 'tmpfs', 'nosuid,noexec,nodev,mode=1777,size=65536k', 'shm'),
        ]),
  ];
}

function mountOf(mount: Mount): Json {
  if ('option' in mount)
    throw new JailbuildError(
      'USAGE',
      `${mount.option}: an OCI bundle cannot express this option: leave it out`,
    );
  if (isTmpfs(mount)) {
    const shared = ['/tmp', '/var/tmp', '/dev/shm'].includes(mount.target);
    const given = mount.options?.split(',') ?? [shared ? 'mode=1777' : 'mode=0755'];
    return {
      destination: mount.target,
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'nodev', ...given],
    };
  }
  const options = [
    ...['rbind', 'rprivate', 'nosuid'],
    ...(mount.devices ? [] : ['nodev']),
    ...(mount.readOnly ? ['ro'] : []),
  ];
  return { destination: mount.target, type: 'bind', source: mount.source, options };
}

function linuxOf(options: LaunchOptions, denied: readonly string[]): Json {
  const masks = (options.proc ?? 'masked') === 'masked';
  const inProc = (names: readonly string[]): string[] => names.map((name) => `/proc/${name}`);
  const [filter = 'off', ...more] = filtersOf(options);
  if (more.length > 0)
    throw new JailbuildError(
      'USAGE',
      '--seccomp: an OCI bundle holds a single filter: combine them',
    );
  if (options.landlock !== undefined)
    throw new JailbuildError('USAGE', '--landlock: an OCI bundle cannot express it: leave it out');
  const seccomp = seccompOf(filter, options, denied);
  return {
    namespaces: namespacesOf(options).map((type) => ({ type })),
    ...(options.userMaps === undefined
      ? {}
      : {
          uidMappings: options.userMaps.uids.map(mappingOf),
          gidMappings: options.userMaps.gids.map(mappingOf),
        }),
    ...(options.clockOffsets === undefined ? {} : { timeOffsets: offsetsOf(options.clockOffsets) }),
    ...(masks ? { maskedPaths: inProc(MASKED), readonlyPaths: inProc(READ_ONLY) } : {}),
    resources: resourcesOf(options),
    ...(seccomp === undefined ? {} : { seccomp }),
  };
}

function namespacesOf(options: LaunchOptions): string[] {
  return [
    ...['pid', 'mount', 'uts'],
    ...(options.shareIpc ? [] : ['ipc']),
    ...(options.shareCgroups ? [] : ['cgroup']),
    ...(options.isolateNetwork ? ['network'] : []),
    ...(options.userMaps === undefined ? [] : ['user']),
    ...(options.clockOffsets === undefined ? [] : ['time']),
  ];
}

function mappingOf({ inside, outside, count }: IdMap): Json {
  return { containerID: inside, hostID: outside, size: count };
}

function offsetsOf(offsets: NonNullable<LaunchOptions['clockOffsets']>): Json {
  return Object.fromEntries(
    Object.entries(offsets).map(([clock, secs]) => [clock, { secs, nanosecs: 0 }]),
  );
}

function resourcesOf({ memory, pids, cpus }: LaunchOptions): Json {
  return {
    // Denies access to all devices but the runtime's standard ones, whoever created the device file.
    devices: [{ allow: false, access: 'rwm' }],
    ...(memory === undefined ? {} : { memory: { limit: memory, swap: memory } }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
    ...(cpus === undefined
      ? {}
      : { cpu: { quota: Math.round(cpus * CPU_PERIOD), period: CPU_PERIOD } }),
  };
}

/** Returns a profile, or the default filter, in the specification's form. */
function seccompOf(
  which: string,
  { capabilities }: LaunchOptions,
  denied: readonly string[],
): Json | undefined {
  if (which === 'off') return undefined;
  if (isProfileFile(which))
    return { ...readSeccompProfile(which, capabilities?.bounding ?? DEFAULT_CAPABILITIES) };
  if (which !== 'default')
    throw new JailbuildError(
      'USAGE',
      `--seccomp ${which}: an OCI bundle cannot hold a binary filter: give a profile in JSON`,
    );
  const rule = (names: readonly string[], args: readonly Json[] = [], errnoRet = EPERM): Json => ({
    names,
    action: 'SCMP_ACT_ERRNO',
    errnoRet,
    ...(args.length === 0 ? {} : { args }),
  });
  const equals = (index: number, mask: number, value: number): Json => ({
    index,
    value: mask,
    valueTwo: value,
    op: 'SCMP_CMP_MASKED_EQ',
  });
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures:
      process.arch === 'arm64' ? ['SCMP_ARCH_AARCH64'] : ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: [
      rule(denied),
      rule(['clone3'], [], ENOSYS),
      ...NEW_NAMESPACES.map((flag) => rule(['clone', 'unshare'], [equals(0, flag, flag)])),
      rule(['unshare'], [equals(0, NEW_TIME, NEW_TIME)]),
      ...[TIOCSTI, TIOCLINUX].map((request) => rule(['ioctl'], [equals(1, LOWER_HALF, request)])),
      ...[AF_ALG, AF_VSOCK].map((family) => rule(['socket'], [equals(0, LOWER_HALF, family)])),
    ],
  };
}
