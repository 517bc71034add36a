import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { fromBytes } from '../fs/path-bytes.js';
import { processStat } from './process-stat.js';

/** A running jail. */
export interface RunningJail {
  /** PID of the launcher, outside the jail. */
  readonly pid: number;
  /** PID of the jail's first process. */
  readonly init: number;
  /** PID of the process whose namespaces a further command joins. */
  readonly entry: number;
  /** Its start time in clock ticks since boot, which with the PID identifies it. */
  readonly start: string;
  readonly uid: number;
  readonly root: string;
  /** Empty for a shell. */
  readonly command: readonly string[];
  /** Arguments of the launcher. */
  readonly words: readonly string[];
  /** Running time in seconds. */
  readonly seconds: number;
}

/** Clock ticks a second for user space on all machines of Linux (time(7), USER_HZ). */
const TICKS = 100;

/**
 * Returns the running jails of one user or of all. They are found by their launchers, which run outside the jails:
 * processes of this PID namespace that execute the launcher's program. A name set by a process inside a jail has no
 * influence.
 *
 * @param uid undefined for all users
 */
export function runningJails(uid: number | undefined): readonly RunningJail[] {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return jailOf(Number(name), uid, uptime);
      } catch {
        // The process has ended or belongs to another user.
        return [];
      }
    });
}

function jailOf(pid: number, uid: number | undefined, uptime: number): RunningJail[] {
  const at = `/proc/${pid}`;
  const owner = statSync(at).uid;
  if (uid !== undefined && owner !== uid) return [];
  if (!/^(\/memfd:invoke_ns|\/.*\/invoke_ns)( \(deleted\))?$/s.test(readlinkSync(`${at}/exe`)))
    return [];
  if (readlinkSync(`${at}/ns/pid`) !== readlinkSync('/proc/self/ns/pid')) return [];
  const words = fromBytes(readFileSync(`${at}/cmdline`))
    .split('\0')
    .slice(1, -1);
  const root = words[words.indexOf('-c') + 1];
  const [init] = readFileSync(`${at}/task/${pid}/children`, 'utf8').trim().split(' ');
  if (!words.includes('-c') || root === undefined || !init) return [];
  const entry = enterable(init);
  // It has not entered its namespaces yet, or needs none, so it is not a jail.
  if (entry === undefined || mountNamespace(entry) === readlinkSync(`${at}/ns/mnt`)) return [];
  const start = processStat(Number(entry)).start;
  const end = words.indexOf('--');
  const command = end < 0 ? [] : words.slice(end + 1);
  const seconds = Math.max(0, Math.round(uptime - Number(start) / TICKS));
  return [
    {
      pid,
      init: Number(init),
      entry: Number(entry),
      start,
      uid: owner,
      root,
      command,
      words,
      seconds,
    },
  ];
}

function mountNamespace(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** Only root can access the first process; other users enter through the jail's command. */
function enterable(init: string): string | undefined {
  const children = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim().split(' ');
  return [init, ...children].find((pid) => pid !== '' && mountNamespace(pid) !== undefined);
}

/** Launcher options that take a value and determine the rights of a command. */
const WITH_VALUE = new Set([
  '--caps',
  '--ambient',
  '--seccomp',
  '--landlock',
  '--umask',
  '--rlimit',
  '--exec-label',
]);
const FLAGS = new Set(['--no-new-privs', '--keyring', '--assert-userns-disabled']);

/** Launcher options without a value that a run uses. */
const WITHOUT_VALUE = new Set([
  ...[
    '-p',
    '-m',
    '-n',
    '-v',
    '--sealed',
    '--ipc',
    '--cgroup',
    '--time',
    '--userns',
    '--dev',
    '--init',
  ],
  ...['--mask-proc', '--no-proc', '--read-only', '--new-session', '--pty', '--die-with-parent'],
  ...['--disable-userns', ...FLAGS],
]);

/** The options of the launcher as classified here; native/front/exec_rights.h has the same. */
export const LAUNCHER_OPTIONS = {
  withValue: WITH_VALUE,
  flags: FLAGS,
  withoutValue: WITHOUT_VALUE,
} as const;

/** Selects the arguments of a jail that determine the rights and the user of its command. */
export function rightsOf(words: readonly string[]): {
  readonly rights: readonly string[];
  readonly user: string | undefined;
} {
  const rights: string[] = [];
  let user: string | undefined;
  for (let index = 0; index < words.length && words[index] !== '--'; index++) {
    const word = words[index] as string;
    if (FLAGS.has(word)) rights.push(word);
    if (WITHOUT_VALUE.has(word)) continue;
    const value = words[++index] ?? '';
    if (WITH_VALUE.has(word)) rights.push(word, value);
    if (word === '--user') user = value;
  }
  return { rights, user };
}

/** Returns the jails that the user's argument names: by PID or by directory. */
export function jailsNamed(text: string, jails: readonly RunningJail[]): readonly RunningJail[] {
  if (/^\d+$/.test(text))
    return jails.filter(({ pid, init }) => pid === Number(text) || init === Number(text));
  return jails.filter(({ root }) => root === path.resolve(text));
}
