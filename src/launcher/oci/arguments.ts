import { existsSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { escapeColons } from '../../text/colon.js';
import { ownCgroupMounts } from './cgroup.js';
import type { OciConfig, OciLinux, OciMount, OciProcess, OciUser } from './spec.js';

/** Devices of every container (runtime-spec, config-linux.md, Default Devices). */
const DEVICES = [
  ...[['null', 1, 3] as const, ['zero', 1, 5] as const, ['full', 1, 7] as const],
  ...[['random', 1, 8] as const, ['urandom', 1, 9] as const, ['tty', 5, 0] as const],
];
const LINKS = [
  ...[['/proc/self/fd', '/dev/fd'] as const, ['/proc/self/fd/0', '/dev/stdin'] as const],
  ...[['/proc/self/fd/1', '/dev/stdout'] as const, ['/proc/self/fd/2', '/dev/stderr'] as const],
  ['pts/ptmx', '/dev/ptmx'] as const,
];

/** Launcher options for new namespaces and for existing ones. */
const NAMESPACES: Readonly<Record<string, readonly [option: string, joined: string]>> = {
  pid: ['-p', 'pid'],
  network: ['-n', 'net'],
  ipc: ['--ipc', 'ipc'],
  uts: ['', 'uts'],
  cgroup: ['--cgroup', 'cgroup'],
  user: ['--userns', 'user'],
  time: ['--time', 'time'],
};

function refuse(what: string): never {
  throw new JailbuildError('USAGE', `config.json: ${what} is not supported by this runtime`);
}

/** Resource limits of Linux (setrlimit(2)). */
const RLIMITS = new Set(
  [
    ...['AS', 'CORE', 'CPU', 'DATA', 'FSIZE', 'LOCKS', 'MEMLOCK', 'MSGQUEUE', 'NICE', 'NOFILE'],
    ...['NPROC', 'RSS', 'RTPRIO', 'RTTIME', 'SIGPENDING', 'STACK'],
  ].map((name) => `RLIMIT_${name}`),
);

/** Parts of config.json for other platforms. */
const PLATFORMS = ['windows', 'solaris', 'vm', 'zos', 'freebsd'] as const;

/** Returns whether part of the configuration has any effect: engines write empty parts. */
function isSet(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(isSet);
  return Boolean(value);
}

/**
 * Refuses configuration that this runtime does not support, by name.
 *
 * @throws JailbuildError USAGE
 */
export function checkConfig(config: OciConfig): void {
  const { linux = {}, process } = config;
  if (!/^1\.[0-9]/.test(config.ociVersion)) refuse(`ociVersion ${config.ociVersion}`);
  for (const name of PLATFORMS) if (isSet(config[name])) refuse(name);
  if (config.root === undefined) throw new JailbuildError('USAGE', 'config.json: root is missing');
  for (const name of ['intelRdt', 'personality', 'memoryPolicy'] as const)
    if (linux[name] !== undefined) refuse(`linux.${name}`);
  if (Object.keys(linux.netDevices ?? {}).length > 0) refuse('linux.netDevices');
  if (linux.mountLabel && !existsSync('/sys/fs/selinux/enforce'))
    refuse('linux.mountLabel on a kernel without SELinux');
  for (const name of ['scheduler', 'ioPriority', 'execCPUAffinity'] as const)
    if (process?.[name] !== undefined) refuse(`process.${name}`);
  for (const { type } of process?.rlimits ?? [])
    if (!RLIMITS.has(type)) refuse(`a limit of type ${type}`);
  for (const name of ['blockIO', 'network', 'rdma'] as const)
    if (isSet(linux.resources?.[name])) refuse(`linux.resources.${name}`);
  for (const name of ['burst', 'idle', 'realtimeRuntime', 'realtimePeriod'] as const)
    if (isSet(linux.resources?.cpu?.[name])) refuse(`linux.resources.cpu.${name}`);
  for (const name of ['kernel', 'kernelTCP'] as const)
    if (isSet(linux.resources?.memory?.[name])) refuse(`linux.resources.memory.${name}`);
  if ((linux.resources?.hugepageLimits ?? []).length > 0) refuse('linux.resources.hugepageLimits');
  for (const [clock, { nanosecs }] of Object.entries(linux.timeOffsets ?? {}))
    if (nanosecs) refuse(`linux.timeOffsets.${clock}.nanosecs`);
  if (/shared|unbindable/.test(linux.rootfsPropagation ?? ''))
    refuse(`linux.rootfsPropagation ${linux.rootfsPropagation}`);
  for (const name of ['createContainer', 'startContainer'])
    if ((config.hooks?.[name] ?? []).length > 0) refuse(`hooks.${name}`);
  if (process === undefined) refuse('a container without process');
  if (linux.namespaces?.find(({ type }) => type === 'mount')?.path)
    refuse('a mount namespace by its path');
  if (!linux.namespaces?.some(({ type }) => type === 'mount'))
    refuse('a container without mount namespace');
  for (const { type } of linux.namespaces ?? [])
    if (type !== 'mount' && NAMESPACES[type] === undefined) refuse(`a namespace of type ${type}`);
}

/** Returns the launcher's arguments for a container, up to its command. */
export function containerArguments(
  config: OciConfig,
  bundle: string,
  cgroups: readonly string[],
): string[] {
  const { linux = {} } = config;
  const root = path.resolve(bundle, config.root?.path ?? 'rootfs');
  return [
    ...['--sealed', '-m', '-c', root, '--no-proc', '--nodev'],
    ...namespaceArguments(config, linux),
    ...cgroups.flatMap((directory) => ['--cgroup-dir', directory]),
    ...(config.root?.readonly ? ['--read-only'] : []),
    ...(linux.mountLabel ? ['--mount-label', linux.mountLabel] : []),
    ...(config.mounts ?? []).flatMap((mount) => mountArguments(mount, bundle, cgroups)),
    ...deviceArguments(config, linux),
    ...(linux.maskedPaths ?? []).flatMap((at) => ['--mask', escapeColons(at)]),
    ...(linux.readonlyPaths ?? []).flatMap((at) => ['--protect', escapeColons(at)]),
    ...Object.entries(linux.sysctl ?? {}).flatMap(([name, value]) => [
      '--sysctl',
      `${name}=${value}`,
    ]),
    ...(config.domainname === undefined
      ? []
      : ['--sysctl', `kernel.domainname=${config.domainname}`]),
  ];
}

function namespaceArguments(config: OciConfig, linux: OciLinux): string[] {
  const maps = (option: string, list: OciLinux['uidMappings'] = []): string[] =>
    list.flatMap(({ containerID, hostID, size }) => [option, `${containerID}:${hostID}:${size}`]);
  return (linux.namespaces ?? []).flatMap(({ type, path: at }) => {
    const [option, joined] = NAMESPACES[type] ?? [];
    if (joined === undefined) return [];
    if (at) return ['--namespace', `${joined}=${at}`];
    if (type === 'uts') return ['-u', config.hostname || 'localhost'];
    if (type === 'user')
      return [
        '--userns',
        ...maps('--uid-map', linux.uidMappings),
        ...maps('--gid-map', linux.gidMappings),
      ];
    if (type !== 'time') return [option as string];
    const offsets = Object.entries(linux.timeOffsets ?? {});
    return ['--time', ...offsets.flatMap(([clock, { secs = 0 }]) => [`--${clock}`, String(secs)])];
  });
}

/** Options of mount(8) without effect here: all mounts are private, and these are defaults. */
const WITHOUT_EFFECT = new Set([
  ...['bind', 'rbind', 'private', 'rprivate', 'slave', 'rslave', 'defaults', 'async', 'nolazytime'],
  ...['norelatime', 'diratime', 'rw', 'loud', 'nomand'],
]);
const ATTRIBUTES = new Set([
  ...['ro', 'nosuid', 'suid', 'nodev', 'dev', 'noexec', 'exec', 'noatime', 'strictatime'],
  ...['nodiratime', 'relatime'],
]);

function mountArguments(mount: OciMount, bundle: string, cgroups: readonly string[]): string[] {
  const { destination, source = '', options = [] } = mount;
  const isBind = mount.type === 'bind' || options.includes('bind') || options.includes('rbind');
  if (mount.uidMappings?.length) refuse(`an id-mapped mount at ${destination}`);
  for (const word of options)
    if (/^(r?shared|r?unbindable|tmpcopyup|idmap|ridmap|remount)$/.test(word))
      refuse(`the mount option ${word} at ${destination}`);
  const at = escapeColons(path.posix.resolve('/', destination));
  if (isBind) {
    const words = options.filter((word) => !WITHOUT_EFFECT.has(word));
    const unknown = words.find((word) => !ATTRIBUTES.has(word.replace(/^rro$/, 'ro')));
    if (unknown !== undefined) refuse(`the mount option ${unknown} at ${destination}`);
    // The launcher's own defaults are more restrictive.
    const all = [
      ...(words.includes('nosuid') ? [] : ['suid']),
      ...(words.includes('nodev') ? [] : ['dev']),
      ...words.map((word) => word.replace(/^rro$/, 'ro')),
      ...(options.includes('rbind') ? [] : ['flat']),
    ];
    return ['--bind', [escapeColons(path.resolve(bundle, source)), at, all.join(',')].join(':')];
  }
  if (mount.type === 'cgroup') return ownCgroupMounts(cgroups, at, options.includes('ro'));
  const type = mount.type ?? source;
  const words = [
    ...options.filter((word) => !WITHOUT_EFFECT.has(word)),
    // Shown in /proc/self/mountinfo.
    ...(source !== type && /^[\w.-]+$/.test(source) ? [`source=${source}`] : []),
  ];
  return ['--filesystem', [type, at, ...(words.length > 0 ? [words.join(',')] : [])].join(':')];
}

function deviceArguments(config: OciConfig, linux: OciLinux): string[] {
  const dev = (config.mounts ?? []).find(({ destination }) => destination === '/dev');
  const more = (linux.devices ?? []).filter(
    ({ path: at }) => !DEVICES.some(([name]) => at === `/dev/${name}`),
  );
  return [
    ...(dev?.type === 'tmpfs'
      ? [
          ...DEVICES.flatMap(([name, major, minor]) => [
            '--device',
            `/dev/${name}:c:${major}:${minor}`,
          ]),
          ...LINKS.flatMap(([target, at]) => ['--symlink', `${target}:${at}`]),
        ]
      : []),
    ...more.flatMap((device) => {
      const { path: at, type, major = 0, minor = 0, fileMode = 0o666, uid = 0, gid = 0 } = device;
      if (type === 'p') return refuse(`a fifo among linux.devices, ${at}`);
      const mode = (fileMode & 0o7777).toString(8);
      const kind = type === 'u' ? 'c' : type;
      return ['--device', [escapeColons(at), kind, major, minor, mode, uid, gid].join(':')];
    }),
  ];
}

export const ROOT: OciUser = { uid: 0, gid: 0 };

/** Returns the launcher's arguments for the rights and the user of a container's process. */
export function processArguments(process: OciProcess, filter: string | undefined): string[] {
  const { user = ROOT, capabilities } = process;
  const names = (set: string): string =>
    (capabilities?.[set] ?? []).map((name) => name.toLowerCase().replace(/^cap_/, '')).join(',') ||
    'none';
  const label = process.selinuxLabel || process.apparmorProfile;
  const groups = user.additionalGids ?? [];
  return [
    ...['--user', `${user.uid}:${user.gid}`],
    ...(groups.length === 0 ? [] : ['--groups', groups.join(',')]),
    ...(user.umask === undefined ? [] : ['--umask', user.umask.toString(8)]),
    ...['--caps', names('bounding'), '--ambient', names('ambient')],
    ...(process.noNewPrivileges ? ['--no-new-privs'] : []),
    ...(filter === undefined ? [] : ['--seccomp', filter]),
    ...(label ? ['--exec-label', label] : []),
    ...(process.oomScoreAdj === undefined ? [] : ['--oom-score-adj', String(process.oomScoreAdj)]),
    ...(process.rlimits ?? []).flatMap(({ type, soft, hard }) => [
      '--rlimit',
      `${type.replace('RLIMIT_', '').toLowerCase()}=${limit(soft)}:${limit(hard)}`,
    ]),
    ...['--keyring', '--cwd', process.cwd],
    process.terminal ? '--pty' : '--new-session',
    ...Object.keys(environment(process)).flatMap((name) => ['--env', name]),
  ];
}

/** RLIM_INFINITY is the largest uint64, which JSON numbers hold only approximately. */
function limit(value: number): string {
  return value >= 2 ** 63 ? 'unlimited' : String(value);
}

export function environment({ env = [] }: OciProcess): Record<string, string> {
  return Object.fromEntries(
    env
      .filter((text) => text.indexOf('=') > 0)
      .map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  );
}
