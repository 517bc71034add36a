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
  /** Host name in the jail. The default is the base name of its directory. */
  readonly hostname?: string;
  /** A network namespace of its own, with the loopback interface alone. */
  readonly isolateNetwork?: boolean;
  /** The host's message queues, semaphores and shared memory. */
  readonly shareIpc?: boolean;
  /** The host's view of the cgroup hierarchy. */
  readonly shareCgroups?: boolean;
  /**
   * Users and groups of a user namespace. The default is that of the host for root, and for others a
   * namespace in which they are root.
   */
  readonly userMaps?: { readonly uids: readonly IdMap[]; readonly gids: readonly IdMap[] };
  /** Whole seconds to add to the clocks of a new time namespace. */
  readonly clockOffsets?: { readonly monotonic?: number; readonly boottime?: number };
  /** Mount the root read-only. */
  readonly readOnly?: boolean;
  /** Mount no /dev: that of the jail's directory, if any, is used. */
  readonly ownDev?: boolean;
  /** /proc without what concerns the host, with it, or none. The default is `masked`. */
  readonly proc?: 'masked' | 'full' | 'none';
  /** Mounted in the order of their depth. */
  readonly mounts?: readonly (BindMount | TmpfsMount)[];
  /** Do not mount an empty /tmp where the jail has none. */
  readonly noTmp?: boolean;
  /** Memory of all processes together, without swap, in bytes. */
  readonly memory?: number;
  /** The number of processes and threads. */
  readonly pids?: number;
  /** Processor time, as a number of processors such as 1.5. */
  readonly cpus?: number;
  /** Limits of each process. */
  readonly rlimits?: readonly ResourceLimit[];
  /** NAME or UID, and perhaps :GROUP or :GID, as the jail's passwd and group have them. */
  readonly user?: string;
  /** Capabilities to keep that are dropped by default, or `ALL`. */
  readonly addCapabilities?: readonly string[];
  /** Capabilities to drop that are kept by default, or `ALL`. */
  readonly dropCapabilities?: readonly string[];
  /** Let set-user-ID programs and file capabilities give rights. */
  readonly allowNewPrivileges?: boolean;
  /** The filter for system calls: `default`, `off`, or the absolute path of one in binary form. */
  readonly seccomp?: string;
  /** File mode creation mask, octal. The default is `022`. */
  readonly umask?: string;
  /** Let the command be the first process: nothing reaps what others leave behind. */
  readonly noInit?: boolean;
  /** Run in a session without a terminal. */
  readonly newSession?: boolean;
  /** Give the command a new terminal. */
  readonly tty?: boolean;
  /** Variables beside PATH, HOME, TERM and those of the jail's profiles and record. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory in the jail. The default is `/`. */
  readonly cwd?: string;
  /** Let the launcher print each step on standard output. */
  readonly verbose?: boolean;
  /** Called with a sentence for the user before the command runs. */
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
  name: (field) => field.matching(/^[a-z]+$/, 'the name of a limit, as nofile'),
  soft: bound,
  hard: bound,
};

const RUN: Checks<RunOptions> = {
  hostname: text,
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
  umask: (field) => field.matching(/^0?[0-7]{1,3}$/, 'an octal mask, as 022'),
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
 * Runs a command in a jail and in namespaces of its own, on the standard streams of this process, to its
 * end, as `jailbuild run` does: with the options and the command that the jail's record has, beneath
 * those given here.
 *
 * @param command the command and its arguments; without words the command of the record, or a shell
 * @returns the command's exit status, or 128 and the number of the signal that ended it
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

/** A user without rights is root of a namespace that has no one else. */
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
    hostname: value('hostname', plain),
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
  // What is mounted within another mount comes after it.
  const mounts = [...kept, ...given].sort((one, other) => depth(one) - depth(other));
  return cover === undefined ? mounts : [cover, ...mounts];
}

function limitsOf(recorded: RecordedRun): readonly ResourceLimit[] {
  return listOf(recorded, 'ulimit').map((word) => parseLimit('ulimit', word));
}

function variablesOf(recorded: RecordedRun): Readonly<Record<string, string>> {
  return Object.fromEntries(listOf(recorded, 'env').flatMap((word) => parseVariable('env', word)));
}

/** An option that may be given several times. */
function listOf({ options }: RecordedRun, name: string): readonly string[] {
  const value = options[name];
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [String(value)];
}
