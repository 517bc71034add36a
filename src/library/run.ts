import path from 'node:path';
import { recordCover, recordOfRun } from '../jail/record/of-run.js';
import { noteUnprotected } from '../jail/record/protection.js';
import { chooseCapabilities } from '../launcher/capabilities.js';
import { userMaps } from '../launcher/id-maps.js';
import type {
  BindMount,
  IdMap,
  LaunchOptions,
  ResourceLimit,
  TmpfsMount,
} from '../launcher/options.js';
import { checkRecordedRun, type RecordedRun } from '../launcher/recorded-run.js';
import { runJail } from '../launcher/run.js';
import { withTmp } from '../launcher/tmp.js';
import { canUncover } from '../launcher/uncovering.js';
import {
  parseCount,
  parseCpus,
  parseHostname,
  parseLimit,
  parseSeconds,
  parseSize,
  parseTmpfs,
  parseUmask,
  parseVariable,
} from '../launcher/values.js';
import { absolute, type Checks, checked, oneOf, text, texts } from '../manifest/check-request.js';
import { Field } from '../manifest/json-field.js';
import { callback, checkOptions, checkPath, flag } from './options.js';

/** Options of `runInJail`. Defaults are those of `jailbuild run`. */
export interface RunOptions {
  /** Host name in the jail. The default is the base name of the jail's directory. */
  readonly hostname?: string;
  /** Use a new network namespace with only the loopback interface. */
  readonly isolateNetwork?: boolean;
  /** Share the host's message queues, semaphores and shared memory. */
  readonly shareIpc?: boolean;
  /** Share the host's view of the cgroup hierarchy. */
  readonly shareCgroups?: boolean;
  /**
   * Users and groups of a user namespace. By default, root uses the host's namespace; other users
   * become root of a new one.
   */
  readonly userMaps?: { readonly uids: readonly IdMap[]; readonly gids: readonly IdMap[] };
  /** Whole seconds to add to the clocks of a new time namespace. */
  readonly clockOffsets?: { readonly monotonic?: number; readonly boottime?: number };
  /** Mount the root read-only. */
  readonly readOnly?: boolean;
  /** Do not mount /dev; use the jail's own, if any. */
  readonly ownDev?: boolean;
  /** Mount /proc with host information masked, in full, or not at all. The default is `masked`. */
  readonly proc?: 'masked' | 'full' | 'none';
  /** Mounted in order of depth. */
  readonly mounts?: readonly (BindMount | TmpfsMount)[];
  /** Do not mount an empty /tmp if the jail has none. */
  readonly noTmp?: boolean;
  /** Memory limit of all processes together, without swap, in bytes. */
  readonly memory?: number;
  /** The maximum number of processes and threads. */
  readonly pids?: number;
  /** Processor time, as a number of processors, such as 1.5. */
  readonly cpus?: number;
  /** Resource limits of each process. */
  readonly rlimits?: readonly ResourceLimit[];
  /**
   * NAME or UID, optionally followed by :GROUP or :GID, as defined in the jail's passwd and group.
   */
  readonly user?: string;
  /** Capabilities to keep that are dropped by default, or `ALL`. */
  readonly addCapabilities?: readonly string[];
  /** Capabilities to drop that are kept by default, or `ALL`. */
  readonly dropCapabilities?: readonly string[];
  /** Let set-user-ID programs and file capabilities grant privileges. */
  readonly allowNewPrivileges?: boolean;
  /** The system call filter: `default`, `off`, or the absolute path of a binary filter. */
  readonly seccomp?: string;
  /** File mode creation mask, octal. The default is `022`. */
  readonly umask?: string;
  /** Run the command as PID 1; orphaned processes are not reaped. */
  readonly noInit?: boolean;
  /** Run in a session without a terminal. */
  readonly newSession?: boolean;
  /** Give the command a new terminal. */
  readonly tty?: boolean;
  /** Variables in addition to PATH, HOME, TERM and those of the jail's profiles and record. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory in the jail. The default is `/`. */
  readonly cwd?: string;
  /** Make the launcher print each step on standard output. */
  readonly verbose?: boolean;
  /** Called with each warning, a sentence, before the command runs. */
  readonly onWarning?: (message: string) => void;
}

const count = (field: Field): number => field.integer(1, Number.MAX_SAFE_INTEGER);
const seconds = (field: Field): number =>
  field.integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);

const ID_MAP: Checks<IdMap> = {
  inside: (field) => field.integer(0, 0xffff_fffe),
  outside: (field) => field.integer(0, 0xffff_fffe),
  count,
};
const idMaps = (field: Field): readonly IdMap[] =>
  field.items().map((item) => checked(item, ID_MAP, ['inside', 'outside', 'count']));

const BIND: Checks<BindMount> = {
  source: absolute,
  target: absolute,
  readOnly: flag,
  devices: flag,
  optional: flag,
  flat: flag,
};
const TMPFS: Checks<TmpfsMount> = { target: absolute, options: text };

const bound = (field: Field): number | 'unlimited' =>
  field.value === 'unlimited' ? 'unlimited' : field.integer(0, Number.MAX_SAFE_INTEGER);
const LIMIT: Checks<ResourceLimit> = {
  name: (field) => field.matching(/^[a-z]+$/, 'the name of a limit, such as nofile'),
  soft: bound,
  hard: bound,
};

const RUN: Checks<RunOptions> = {
  hostname: (field) => parseHostname('hostname', field.string()),
  isolateNetwork: flag,
  shareIpc: flag,
  shareCgroups: flag,
  userMaps: (field) => checked(field, { uids: idMaps, gids: idMaps }, ['uids', 'gids']),
  clockOffsets: (field) => checked(field, { monotonic: seconds, boottime: seconds }),
  readOnly: flag,
  ownDev: flag,
  proc: oneOf('masked', 'full', 'none'),
  mounts: (field) =>
    field
      .items()
      .map((item) =>
        item.object().has('source')
          ? checked(item, BIND, ['source', 'target', 'readOnly', 'devices'])
          : checked(item, TMPFS, ['target']),
      ),
  noTmp: flag,
  memory: count,
  pids: count,
  cpus: (field) =>
    typeof field.value === 'number' && field.value >= 0.01
      ? field.value
      : field.refuse('is not a number of processors of at least 0.01'),
  rlimits: (field) => field.items().map((item) => checked(item, LIMIT, ['name', 'soft', 'hard'])),
  user: text,
  addCapabilities: texts,
  dropCapabilities: texts,
  allowNewPrivileges: flag,
  seccomp: (field) =>
    field.value === 'default' || field.value === 'off' ? field.value : absolute(field),
  umask: (field) => field.matching(/^0?[0-7]{1,3}$/, 'an octal mask, such as 022'),
  noInit: flag,
  newSession: flag,
  tty: flag,
  env: (field) => {
    const object = field.object();
    return Object.fromEntries(object.names().map((name) => [name, object.member(name).string()]));
  },
  cwd: absolute,
  verbose: flag,
  onWarning: callback<(message: string) => void>,
};

/**
 * Runs a command in a jail in new namespaces, on the standard streams of this process, and waits
 * for it to end, as `jailbuild run` does. The options and the command in the jail's record are the
 * defaults.
 *
 * @param command the command and its arguments; if empty, the command of the record, or a shell
 * @returns the command's exit status, or 128 plus the number of the signal that ended it
 * @throws JailbuildError USAGE, RECORD_REFUSED, LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function runInJail(
  root: string,
  command: readonly string[] = [],
  options: RunOptions = {},
): Promise<number> {
  const jail = path.resolve(checkPath(root, 'root'));
  const words = texts(new Field(command, { name: 'command', code: 'USAGE' }));
  const {
    addCapabilities = [],
    dropCapabilities = [],
    onWarning = () => {},
    noTmp,
    ...given
  } = checkOptions(options, RUN);
  const record = recordOfRun(jail);
  const recorded = checkRecordedRun(jail, record?.run);
  const launch = {
    ...recordedOptions(recorded),
    ...given,
    env: { ...record?.manifest.environment, ...variablesOf(recorded), ...given.env },
    mounts: mountsOf(jail, recorded, given.mounts ?? []),
    rlimits: [...limitsOf(recorded), ...(given.rlimits ?? [])],
    capabilities: chooseCapabilities(addCapabilities, [
      ...listOf(recorded, 'cap-drop'),
      ...dropCapabilities,
    ]),
  };
  const users = launch.userMaps ?? usersOf();
  const mapped: LaunchOptions = users === undefined ? launch : { ...launch, userMaps: users };
  const hasNoTmp = noTmp ?? recorded.options['no-tmp'] === true;
  const whole = hasNoTmp ? mapped : withTmp(jail, mapped, record?.manifest.entries);
  if (canUncover(jail, whole) && !noteUnprotected(jail)) {
    onWarning(`${jail}: the command can write the record of the jail: do not update it afterwards`);
  }
  return runJail(jail, whole, words.length > 0 ? words : (recorded.command ?? []));
}

/** Maps an unprivileged user to root of a namespace without other users. */
function usersOf(): RunOptions['userMaps'] {
  return process.geteuid?.() === 0 ? undefined : userMaps('root', false);
}

function recordedOptions(recorded: RecordedRun): RunOptions {
  const value = <T>(name: string, parse: (option: string, text: string) => T): T | undefined => {
    const found = recorded.options[name];
    return found === undefined ? undefined : parse(name, String(found));
  };
  const plain = (_option: string, word: string): string => word;
  const monotonic = value('monotonic', parseSeconds);
  const boottime = value('boottime', parseSeconds);
  const found = {
    hostname: value('hostname', parseHostname),
    user: value('user', plain),
    cwd: value('workdir', plain),
    umask: value('umask', parseUmask),
    memory: value('memory', parseSize),
    pids: value('pids-limit', parseCount),
    cpus: value('cpus', parseCpus),
    readOnly: recorded.options['read-only'] === true ? true : undefined,
    clockOffsets:
      monotonic === undefined && boottime === undefined ? undefined : { monotonic, boottime },
  };
  return Object.fromEntries(Object.entries(found).filter(([, item]) => item !== undefined));
}

function mountsOf(
  jail: string,
  recorded: RecordedRun,
  given: NonNullable<RunOptions['mounts']>,
): NonNullable<RunOptions['mounts']> {
  const cover = recordCover(jail);
  const kept = listOf(recorded, 'tmpfs').map((word) => parseTmpfs('tmpfs', word));
  const depth = ({ target }: { readonly target: string }): number =>
    target.split('/').filter((name) => name !== '').length;
  // Mounts within another mount follow it.
  const mounts = [...kept, ...given].sort((one, other) => depth(one) - depth(other));
  return cover === undefined ? mounts : [cover, ...mounts];
}

function limitsOf(recorded: RecordedRun): readonly ResourceLimit[] {
  return listOf(recorded, 'ulimit').map((word) => parseLimit('ulimit', word));
}

function variablesOf(recorded: RecordedRun): Readonly<Record<string, string>> {
  return Object.fromEntries(listOf(recorded, 'env').flatMap((word) => parseVariable('env', word)));
}

/** Returns the values of an option that may be given several times. */
function listOf({ options }: RecordedRun, name: string): readonly string[] {
  const value = options[name];
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [String(value)];
}
