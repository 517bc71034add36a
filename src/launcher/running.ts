import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

/** A jail that the launcher runs. */
export interface RunningJail {
  /** The launcher, outside of the jail. */
  readonly pid: number;
  /** The first process of the jail. */
  readonly init: number;
  /** The process whose namespaces a further command joins. */
  readonly entry: number;
  /** When that started, in clock ticks since boot: with its number its name for good. */
  readonly start: string;
  readonly uid: number;
  readonly root: string;
  /** Empty for a shell. */
  readonly command: readonly string[];
  /** The launcher's arguments. */
  readonly words: readonly string[];
  /** Seconds that it has been running for. */
  readonly seconds: number;
}

/** Clock ticks a second, on all machines that Linux runs user programs on (time(7), USER_HZ). */
const TICKS = 100;

/**
 * The running jails of a user, or of all. They are found by their launchers, which lie outside of every
 * jail: a process of our own PID namespace that runs the launcher's program. What a jail's own
 * processes call themselves does not count.
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
        // It has ended, or is not ours to look at.
        return [];
      }
    });
}

function jailOf(pid: number, uid: number | undefined, uptime: number): RunningJail[] {
  const at = `/proc/${pid}`;
  const owner = statSync(at).uid;
  if (uid !== undefined && owner !== uid) return [];
  if (!/^(\/memfd:invoke_ns|\/.*\/invoke_ns)( \(deleted\))?$/.test(readlinkSync(`${at}/exe`)))
    return [];
  if (readlinkSync(`${at}/ns/pid`) !== readlinkSync('/proc/self/ns/pid')) return [];
  const words = readFileSync(`${at}/cmdline`, 'utf8').split('\0').slice(1, -1);
  const root = words[words.indexOf('-c') + 1];
  const [init] = readFileSync(`${at}/task/${pid}/children`, 'utf8').trim().split(' ');
  if (!words.includes('-c') || root === undefined || !init) return [];
  const entry = enterable(init);
  // One that has not entered its namespaces yet, or needs none, is no jail.
  if (entry === undefined || mountNamespace(entry) === readlinkSync(`${at}/ns/mnt`)) return [];
  const start = startOf(Number(entry));
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

/** The first process is closed to all but root; a user enters by the jail's command, which is not. */
function enterable(init: string): string | undefined {
  const children = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim().split(' ');
  return [init, ...children].find((pid) => pid !== '' && mountNamespace(pid) !== undefined);
}

/** proc_pid_stat(5), field 22. */
function startOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** The launcher's options by which a command gets the rights that its jail's has. */
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

/** Options of the launcher that take no value, of those that a run has. */
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

/** Of the arguments that a jail was started with, those that say what its command may do, and as whom. */
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

/** The jails that a word of the user's means: a number of a process, or a directory. */
export function jailsNamed(text: string, jails: readonly RunningJail[]): readonly RunningJail[] {
  if (/^\d+$/.test(text))
    return jails.filter(({ pid, init }) => pid === Number(text) || init === Number(text));
  return jails.filter(({ root }) => root === path.resolve(text));
}
