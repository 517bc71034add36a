import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import { readTextFile } from '../../fs/read-text.js';
import { recordCover, recordOfRun } from '../../jail/record/of-run.js';
import { chooseCapabilities } from '../../launcher/capabilities.js';
import { userMaps } from '../../launcher/id-maps.js';
import { parseBindOption, parseMount, parsePlaced } from '../../launcher/mounts.js';
import type { IdMap, JoinedNamespaces, LaunchOptions, Mount } from '../../launcher/options.js';
import { findHelper, type OutgoingNetwork, parsePublish } from '../../launcher/outgoing-network.js';
import { checkRecordedRun, isRecordable } from '../../launcher/recorded-run.js';
import { needsTmp, withTmp } from '../../launcher/tmp.js';
import {
  parseCount,
  parseCpus,
  parseDescriptor,
  parseDescriptorCount,
  parseHostname,
  parseIdMap,
  parseLimit,
  parseSeconds,
  parseSize,
  parseTmpfs,
  parseUmask,
  parseVariable,
  parseVariables,
  parseWorkdir,
} from '../../launcher/values.js';
import type { JailFile } from '../../profile/jail-file.js';
import type { OptionValues } from '../../profile/option-values.js';
import type { OptionTable } from '../command.js';
import { placedError, withDefaults, withFileOptions } from './jail-file.js';
import { type provableOptions, type RunArguments, runOptions } from './run.js';

/** Returns the part of a jail file's `run` that the record may keep; undefined without any. */
export function recordableRun(
  options: OptionValues,
  command: readonly string[] | undefined,
): Readonly<Record<string, unknown>> | undefined {
  const kept = Object.entries(options).filter(([name]) => isRecordable(name));
  if (command !== undefined && command.length > 0) kept.push(['command', command]);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/**
 * Returns the part of a jail file's `run` that the record may not keep: it applies to `--run` only.
 *
 * @throws JailbuildError JAIL_FILE_INVALID for a value that `run` would refuse
 */
export function checkedRun(file: JailFile, table: OptionTable): readonly string[] {
  const { options } = file.run;
  try {
    launchOptions(withFileOptions(withDefaults(table) as RunArguments, options, table));
  } catch (error) {
    const placed = placedError(error, file, 'run');
    if (!(placed instanceof JailbuildError) || placed.code !== 'USAGE') throw placed;
    throw new JailbuildError(
      'JAIL_FILE_INVALID',
      `${file.name}: run: ${placed.message}`,
      file.path,
    );
  }
  return Object.keys(options).filter((name) => !isRecordable(name));
}

/**
 * Merges options and command: the command line overrides the jail's record, which overrides the variables
 * that the jail's profiles set.
 *
 * @throws JailbuildError RECORD_REFUSED if it asks for more than a record may
 */
export function withRecordedDefaults(
  root: string,
  args: RunArguments,
  table: OptionTable,
): RunArguments {
  const record = recordOfRun(root);
  if (record === undefined) return args;
  const { options, command } = checkRecordedRun(root, record.run);
  const variables = Object.entries(record.manifest.environment ?? {});
  const all = withFileOptions(args, options, table);
  const env = [...variables.map((variable) => variable.join('=')), ...(all.env ?? [])];
  return { ...all, env, '--': args['--'] ?? command };
}

/**
 * Converts the options of a command line to those of the launcher.
 *
 * @throws JailbuildError USAGE
 */
export function launchOptions(args: RunArguments): LaunchOptions {
  const mounts = mountsOf(args);
  const userMaps = userMapsOf(args);
  const user = args.user ?? keptUser(args);
  if (userMaps !== undefined) refuseUnmapped(user, userMaps);
  if (args.tty && args['no-dev']) usage('--tty and --no-dev cannot be combined');
  return {
    ...defined('hostname', parsed('--hostname', args.hostname, parseHostname)),
    isolateNetwork: !['host', undefined].includes(args.network),
    ...defined('joined', joinedOf(args)),
    unshareTry: (args['unshare-try'] ?? []).map(parseTry),
    disableUserns: args['disable-userns'] ?? false,
    assertUsernsDisabled: args['assert-userns-disabled'] ?? args['disable-userns'] ?? false,
    shareIpc: args.ipc === 'host',
    shareCgroups: args.cgroupns === 'host',
    ...defined('userMaps', userMaps),
    ...defined('clockOffsets', clockOffsets(args)),
    readOnly: args['read-only'] ?? false,
    ownDev: args['no-dev'] ?? false,
    proc: (args.proc ?? 'masked') as NonNullable<LaunchOptions['proc']>,
    mounts,
    ...defined(
      'overlay',
      args.overlay === undefined || args.overlay === 'tmpfs'
        ? args.overlay
        : path.resolve(args.overlay),
    ),
    ...defined('memory', parsed('--memory', args.memory, parseSize)),
    ...defined('pids', parsed('--pids-limit', args['pids-limit'], parseCount)),
    ...defined('cpus', parsed('--cpus', args.cpus, parseCpus)),
    rlimits: (args.ulimit ?? []).map((text) => parseLimit('--ulimit', text)),
    ...defined('user', user),
    capabilities: chooseCapabilities(args['cap-add'] ?? [], args['cap-drop'] ?? []),
    allowNewPrivileges: args['allow-new-privileges'] ?? false,
    ...defined('seccomp', args.seccomp?.map(filterOf)),
    ...defined('execLabel', args['exec-label']),
    ...defined('umask', parsed('--umask', args.umask, parseUmask)),
    noInit: args['no-init'] ?? false,
    newSession: args['new-session'] ?? false,
    tty: args.tty ?? false,
    env: Object.fromEntries([
      ...(args['env-file'] ?? []).flatMap(variablesOfFile),
      ...(args.env ?? []).flatMap((text) => parseVariable('--env', text)),
    ]),
    supervision: {
      ...defined('infoFd', parsed('--info-fd', args['info-fd'], parseDescriptor)),
      ...defined('statusFd', parsed('--json-status-fd', args['json-status-fd'], parseDescriptor)),
      ...defined('blockFd', parsed('--block-fd', args['block-fd'], parseDescriptor)),
      syncFds: (args['sync-fd'] ?? []).map((text) => parseDescriptor('--sync-fd', text)),
      lockFiles: args['lock-file'] ?? [],
    },
    dieWithParent: args['die-with-parent'] ?? false,
    fds: (args.fd ?? []).map((text) => parseDescriptor('--fd', text)),
    ...defined('preserveFds', parsed('--preserve-fds', args['preserve-fds'], parseDescriptorCount)),
    ...defined('argv0', args.argv0),
    ...defined('cwd', parsed('--workdir', args.workdir, parseWorkdir)),
    verbose: args.verbose ?? false,
  };
}

/** Returns the command to run in a jail and its options, from the command line and the record. */
export function runnable(
  root: string,
  args: Omit<RunArguments, Exclude<keyof typeof runOptions, keyof typeof provableOptions>> &
    Partial<RunArguments>,
): {
  readonly launch: LaunchOptions;
  readonly command: readonly string[];
  readonly network?: OutgoingNetwork;
} {
  const whole = { ...(withDefaults(runOptions) as RunArguments), ...args };
  const all = withRecordedDefaults(root, whole, runOptions);
  return {
    launch: { ...inJail(root, all), ...(all.landlock ? landlockOf(root) : {}) },
    command: all['--'] ?? [],
    ...defined('network', outgoingNetwork(all)),
  };
}

/** The paths of the jail's manifest, for Landlock. @throws JailbuildError USAGE */
function landlockOf(root: string): Pick<LaunchOptions, 'landlock'> {
  const record = recordOfRun(root);
  if (record === undefined)
    usage(
      `--landlock: ${root} has no record that you can read, so its paths are unknown: run as its owner or root`,
    );
  return { landlock: { entries: record.manifest.entries } };
}

/** Returns the run options of a jail's record alone. */
export function jailLaunch(root: string): LaunchOptions {
  const args = withDefaults(runOptions) as RunArguments;
  return inJail(root, withRecordedDefaults(root, args, runOptions));
}

/** What a jail's record says about every run of the jail, whatever its options. */
export interface JailDefaults {
  /** Without the mounts that no option requests. */
  readonly launch: LaunchOptions;
  /** Mounted first, over the record. */
  readonly cover: ReturnType<typeof recordCover>;
  /** Whether a run mounts an empty /tmp if the root can have it and no option prevents it. */
  readonly mayNeedTmp: boolean;
  readonly command: readonly string[];
}

/** @throws JailbuildError RECORD_REFUSED if the record asks for more than a record may */
export function jailDefaults(root: string): JailDefaults {
  const args = withRecordedDefaults(root, withDefaults(runOptions) as RunArguments, runOptions);
  const launch = launchOptions(args);
  const paths = recordOfRun(root)?.manifest.entries;
  return {
    launch,
    cover: recordCover(root),
    mayNeedTmp: !args['no-tmp'] && needsTmp(launch, paths),
    command: args['--'] ?? [],
  };
}

function inJail(root: string, args: RunArguments): LaunchOptions {
  const launch = launchOptions(args);
  const paths = recordOfRun(root)?.manifest.entries;
  return hideRecord(root, args['no-tmp'] ? launch : withTmp(root, launch, paths));
}

/** Returns the options to run a command in a root file system that is not a jail. */
export function sysrootLaunch(): LaunchOptions {
  return launchOptions(withDefaults(runOptions) as RunArguments);
}

/**
 * Hides the record of a jail from what runs in it: an empty directory is mounted over it, or where it
 * would be.
 */
export function hideRecord(root: string, launch: LaunchOptions): LaunchOptions {
  const cover = recordCover(root);
  if (cover === undefined) return launch;
  return { ...launch, mounts: [cover, ...(launch.mounts ?? [])] };
}

function usage(message: string): never {
  throw new JailbuildError('USAGE', message);
}

/** Sorts mounts, whatever their order, so that nested ones follow the mount that they lie in. */
function byDepth(one: { readonly target: string }, other: { readonly target: string }): number {
  const depth = ({ target }: { readonly target: string }): number =>
    target.split('/').filter((name) => name !== '').length;
  return depth(one) - depth(other);
}

function filterOf(text: string): string {
  return text === 'default' || text === 'off' ? text : path.resolve(text);
}

const BINDS = ['bind', 'ro-bind', 'bind-try', 'ro-bind-try', 'dev-bind', 'dev-bind-try'] as const;
const MADE_FIRST = ['symlink', 'dir'] as const;
const MADE_LAST = [
  ...(['bind-fd', 'ro-bind-fd', 'bind-data', 'ro-bind-data', 'mqueue', 'file'] as const),
];

/** Mounts from the root down; of those at one depth, links and directories come first, files last. Modes are set at the end. */
function mountsOf(args: RunArguments): readonly Mount[] {
  const placed = (
    names: readonly (typeof MADE_FIRST | typeof MADE_LAST | readonly ['chmod'])[number][],
  ) => names.flatMap((name) => (args[name] ?? []).map((text) => parsePlaced(`--${name}`, text)));
  const made = [
    ...placed(MADE_FIRST),
    ...BINDS.flatMap((name) =>
      (args[name] ?? []).map((text) => parseBindOption(`--${name}`, text)),
    ),
    ...(args.tmpfs ?? []).map((text) => parseTmpfs('--tmpfs', text)),
    ...(args.mount ?? []).map((text) => parseMount('--mount', text)),
    ...placed(MADE_LAST),
  ];
  return [...made.sort(byDepth), ...placed(['chmod']).sort(byDepth)];
}

/** In bytes; the kernel accepts less for one program (execve(2)). */
const MAX_VARIABLES = 16 << 20;

function variablesOfFile(file: string): readonly (readonly [name: string, value: string])[] {
  try {
    return parseVariables('--env-file', readTextFile(file, MAX_VARIABLES));
  } catch (error) {
    if (!(error instanceof JailbuildError) || error.code !== 'NOT_READABLE') throw error;
    throw new JailbuildError('USAGE', `--env-file ${error.message}`);
  }
}

function parseTry(text: string): 'user' | 'cgroup' {
  if (text === 'user' || text === 'cgroup') return text;
  return usage(`--unshare-try ${text}: give user or cgroup`);
}

/** Returns the path of a namespace; a network may be named as in ip-netns(8). */
function joinedOf(args: RunArguments): JoinedNamespaces | undefined {
  const network = /^ns:(.+)$/.exec(args.network ?? '')?.[1];
  if (network === undefined && !NETWORKS.includes(args.network ?? 'host'))
    usage(`--network ${args.network}: give ${NETWORKS.join(', ')} or ns:PATH`);
  const joined = {
    ...defined('net', network?.includes('/') === false ? `/run/netns/${network}` : network),
    ...defined('pid', args.pidns),
    ...defined('user', isPath(args.userns) ? args.userns : undefined),
  };
  return Object.keys(joined).length === 0 ? undefined : joined;
}

const NETWORKS = ['host', 'none', 'outgoing', 'pasta', 'slirp4netns'];

/** Returns the network that a helper makes, if one is requested. */
function outgoingNetwork(args: RunArguments): OutgoingNetwork | undefined {
  const publish = (args.publish ?? []).map((text) => parsePublish('--publish', text));
  const { network } = args;
  if (network !== 'outgoing' && network !== 'pasta' && network !== 'slirp4netns') {
    if (publish.length > 0) usage('--publish requires --network outgoing');
    return undefined;
  }
  return { helper: findHelper(network === 'outgoing' ? undefined : network), publish };
}

function isPath(text: string | undefined): text is string {
  return text?.startsWith('/') ?? false;
}

/** Refuses users that are not mapped; the kernel would only report EINVAL. */
function refuseUnmapped(
  user: string | undefined,
  maps: NonNullable<LaunchOptions['userMaps']>,
): void {
  const { 1: uid, 2: gid } = /^(\d+)(?::(\d+))?$/.exec(user ?? '') ?? [];
  const isIn = (id: string, ranges: readonly IdMap[]): boolean =>
    ranges.some(({ inside, count }) => Number(id) >= inside && Number(id) < inside + count);
  for (const [id, ranges, what] of [
    [uid, maps.uids, 'user'],
    [gid, maps.gids, 'group'],
  ] as const) {
    if (id !== undefined && !isIn(id, ranges))
      usage(`--user ${user}: the namespace has no ${what} ${id}; --map-auto brings more`);
  }
}

/** Returns the caller's IDs for keep-id with --map-auto, where the namespace also has a root for the mounts. */
function keptUser(args: RunArguments): string | undefined {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  return args.userns === 'keep-id' && args['map-auto'] && uid !== 0 ? `${uid}:${gid}` : undefined;
}

function userMapsOf(args: RunArguments): LaunchOptions['userMaps'] {
  const isRoot = process.geteuid?.() === 0;
  const mode = args.userns ?? (isRoot ? 'host' : 'root');
  const uids = (args.uidmap ?? []).map((text) => parseIdMap('--uidmap', text));
  const gids = (args.gidmap ?? args.uidmap ?? []).map((text) => parseIdMap('--gidmap', text));
  if (uids.length > 0) {
    if (args.userns !== undefined || args['map-auto'])
      usage('--uidmap cannot be combined with --userns or --map-auto');
    return { uids, gids };
  }
  if (gids.length > 0) usage('--gidmap requires --uidmap');
  const subordinate = args['map-auto'] ?? false;
  if (isPath(mode)) {
    if (subordinate) usage('--map-auto requires --userns root or keep-id');
    return undefined;
  }
  if (!['host', 'root', 'keep-id'].includes(mode))
    usage(`--userns ${mode}: give host, root, keep-id or a path`);
  if (mode === 'host') {
    if (subordinate) usage('--map-auto requires --userns root or keep-id');
    return undefined;
  }
  return userMaps(mode === 'root' ? 'root' : 'keep-id', subordinate);
}

function clockOffsets(args: RunArguments): LaunchOptions['clockOffsets'] {
  if (args.monotonic === undefined && args.boottime === undefined) return undefined;
  return {
    ...defined('monotonic', parsed('--monotonic', args.monotonic, parseSeconds)),
    ...defined('boottime', parsed('--boottime', args.boottime, parseSeconds)),
  };
}

function parsed<T>(
  option: string,
  text: string | undefined,
  parse: (option: string, text: string) => T,
): T | undefined {
  return text === undefined ? undefined : parse(option, text);
}

/** Returns an object with the property if it has a value, otherwise an empty one. */
function defined<K extends string, T>(
  key: K,
  value: T | undefined,
): { readonly [key in K]?: T } | Record<never, never> {
  return value === undefined ? {} : { [key]: value };
}
