import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { onPath } from '../support/need.js';
import { Random } from './random.js';

/**
 * How the command is started: by Node, which starts the writer, or by the writer, which starts
 * Node.
 */
export type Started = 'script' | 'front';

const WORDS: Readonly<Record<Started, readonly string[]>> = {
  script: [process.execPath, JAILBUILD],
  front: [path.join(path.dirname(JAILBUILD), 'jailbuild')],
};

/** What is killed: the native writer, the command in Node, or both before either can react. */
const VICTIMS = ['both', 'writer', 'command'] as const;

/** System calls with which the native writer makes changes; each call is a point to kill at. */
const CALLS = [
  ...['renameat2', 'renameat', 'linkat', 'unlinkat', 'mkdirat', 'symlinkat'],
  ...['copy_file_range', 'pwrite64', 'fchmod', 'utimensat', 'syncfs', 'fsync'],
];

const FEW = ['ls', 'bash'];
const MORE = ['ps', 'top', 'find', 'tar', 'grep', 'sed', 'ssh', 'curl'];

/** A killed job, between two states of a jail. */
interface Scenario {
  readonly name: string;
  /** Copied to where the job works; undefined for a job that makes a new jail. */
  readonly start: string | undefined;
  readonly args: (jail: string) => readonly string[];
  readonly before: Tree;
  readonly after: Tree;
  /** Undefined for a job that leaves none. */
  readonly record: string | undefined;
  /** Maximum calls of each kind by one thread in an uninterrupted run. */
  readonly counts: ReadonlyMap<string, number>;
  readonly started: Started;
}

/** Returns what a jail contains besides jailbuild's state: a line for each path. */
type Tree = ReadonlyMap<string, string>;

export interface KillResult {
  readonly name: string;
  /** Runs that were killed in progress. */
  killed: number;
  /** Runs that ended before the point was reached. */
  finished: number;
  /** After a kill: nothing was new yet. */
  old: number;
  /** After a kill: partly old and partly new. */
  partly: number;
  /** After a kill: everything was new. */
  new: number;
  readonly failures: string[];
}

/** A point at which one scenario was killed, and what came of it. */
export interface KillPoint {
  readonly scenario: string;
  /** The system call, its number in the run, and what was killed there. */
  readonly call: string;
  readonly count: number;
  readonly victim: string;
  /** What the kill left; `finished` if the run ended before the point. */
  readonly left: 'old' | 'partly' | 'new' | 'finished';
  readonly failures: readonly string[];
}

/**
 * Kills builds, extensions, updates and removals at system calls of the native writer, reproducible
 * by seed. Half of the kills are at the renames that put files in place, so that enough points
 * cover each of them; the other half covers each kind of call in turn. After each kill, everything
 * in the jail must be as before or as after, and running the same command again must leave exactly
 * what an uninterrupted run leaves, and nothing beside it.
 *
 * @param scratch an empty directory; the caller removes what is made in it
 * @param points number of kills in all scenarios
 * @param started how the killed commands are started
 * @param onPoint called after each point
 */
export async function killAtWork(
  scratch: string,
  points: number,
  seed: number,
  started: Started = 'script',
  onPoint?: (point: KillPoint) => void,
): Promise<KillResult[]> {
  const scenarios = makeScenarios(scratch, started);
  const random = new Random(seed);
  const results = scenarios.map(({ name }): KillResult => {
    return { name, killed: 0, finished: 0, old: 0, partly: 0, new: 0, failures: [] };
  });
  const sweeps = scenarios.map(() => random.below(1000));
  for (let point = 0; point < points; point++) {
    const which = point % scenarios.length;
    const [scenario, result] = [scenarios[which], results[which]];
    if (scenario === undefined || result === undefined) throw new Error('no scenario');
    const round = Math.floor(point / scenarios.length);
    const calls = [...scenario.counts.keys()];
    let call = scenario.record === undefined ? 'unlinkat' : 'renameat2';
    let count = 1;
    const renames = scenario.counts.get(call) ?? 1;
    if (round % 2 === 0 && renames > 1) {
      // A stride that is coprime to most counts, so that few points are spread and many cover all.
      sweeps[which] = (sweeps[which] ?? 0) + 13;
      count = 1 + ((sweeps[which] ?? 0) % renames);
    } else {
      call = calls[(round >> 1) % calls.length] ?? call;
      count = 1 + random.below(scenario.counts.get(call) ?? 1);
    }
    const victim = VICTIMS[random.below(VICTIMS.length)] ?? 'both';
    const { failures } = result;
    const known = failures.length;
    const left = await killOnce(scenario, { call, count, victim }, scratch, failures);
    result[left]++;
    if (left !== 'finished') result.killed++;
    const { name } = scenario;
    onPoint?.({ scenario: name, call, count, victim, left, failures: failures.slice(known) });
  }
  return results;
}

interface Moment {
  readonly call: string;
  readonly count: number;
  readonly victim: (typeof VICTIMS)[number];
}

async function killOnce(
  scenario: Scenario,
  moment: Moment,
  scratch: string,
  failures: string[],
): Promise<KillPoint['left']> {
  const directory = mkdtempSync(path.join(scratch, 'run-'));
  const jail = `${directory}/jail`;
  const fail = (what: string): void => {
    const { call, count, victim } = moment;
    failures.push(`${scenario.name}, ${call} ${count}, ${victim} killed: ${what}`);
  };
  try {
    if (scenario.start !== undefined) copy(scenario.start, jail);
    const words = [...WORDS[scenario.started], ...scenario.args(jail)];
    const killed = await runAndKill(words, moment, `${directory}/log`);
    rmSync(`${directory}/log`, { force: true });
    const found = compare(scenario, treeAt(jail), fail);
    const left = killed ? found : 'finished';
    const isRemoved = scenario.record === undefined && isRemovedAt(jail);
    const next = isRemoved ? undefined : jailbuild(scenario.args(jail));
    if (next !== undefined && next.status !== 0) {
      fail(`the next run: ${next.stderr}`);
      return left;
    }
    const tree = treeAt(jail);
    for (const at of new Set([...tree.keys(), ...scenario.after.keys()])) {
      const [is, expected] = [tree.get(at), scenario.after.get(at)];
      if (is !== expected) fail(`after the next run ${at} is ${is}, not ${expected}`);
    }
    if (recordAt(jail) !== scenario.record) fail('the next run leaves another record');
    const state = `${jail}/.jailbuild`;
    const ofState = scenario.record === undefined ? /^$/ : /^(record\.json|fingerprint)$/;
    const strays = [
      ...readdirSync(directory).filter((name) => name !== 'jail' || scenario.after.size === 0),
      ...(existsSync(state) ? readdirSync(state) : []).filter((name) => !ofState.test(name)),
    ];
    if (strays.length > 0) fail(`the next run leaves ${strays.join(', ')}`);
    return left;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Checks that each path is as before or as after, and a new jail complete or absent.
 *
 * @returns how much is as after
 */
function compare(
  { start, before, after }: Scenario,
  tree: Tree,
  fail: (what: string) => void,
): 'old' | 'partly' | 'new' {
  let some = 0;
  let all = true;
  for (const at of new Set([...tree.keys(), ...before.keys(), ...after.keys()])) {
    const [is, was, will] = [tree.get(at), before.get(at), after.get(at)];
    if (is !== was && is !== will) fail(`${at} is ${is}, neither ${was} nor ${will}`);
    if (is !== was && is === will) some++;
    if (is !== will) all = false;
  }
  if (start === undefined && tree.size > 0 && !all) fail('a new jail that is not whole');
  if (some === 0) return 'old';
  return all ? 'new' : 'partly';
}

/**
 * Runs the command so that the native writer stops at a system call, and kills it or the command
 * there.
 *
 * @returns whether the point was reached
 */
async function runAndKill(
  words: readonly string[],
  { call, count, victim }: Moment,
  log: string,
): Promise<boolean> {
  const strace = spawn(
    'strace',
    [
      ...['-f', '-o', log, '-e', `trace=${call}`],
      ...['-e', `inject=${call}:signal=SIGSTOP:when=${count}`],
      ...words,
    ],
    { stdio: 'ignore' },
  );
  let running = true;
  const ended = new Promise<void>((resolve) => {
    strace.once('exit', () => {
      running = false;
      resolve();
    });
  });
  let stopped: string | undefined;
  while (running && stopped === undefined) {
    await pause(3);
    const text = existsSync(log) ? readFileSync(log, 'latin1') : '';
    stopped = /^(\d+) +--- stopped by SIGSTOP ---$/m.exec(text)?.[1];
  }
  if (stopped !== undefined) {
    const writer = statusOf(stopped, 'Tgid');
    // The writer is the parent of Node or its child.
    const command = childOf(writer) ?? statusOf(String(writer), 'PPid');
    // Never 0 or 1, which would signal a process group or the init.
    if (!(writer > 1 && command > 1)) throw new Error(`cannot find the writer of ${stopped}`);
    if (victim !== 'writer') process.kill(command, 'SIGKILL');
    if (victim !== 'command') process.kill(writer, 'SIGKILL');
    // Remaining threads continue, and may stop again.
    while (running) {
      if (victim === 'command') goOn(writer);
      await Promise.race([ended, pause(5)]);
    }
  }
  await ended;
  return stopped !== undefined;
}

function goOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // It has ended.
  }
}

/** Returns the only child of a process; undefined if it has none. */
function childOf(pid: number): number | undefined {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').match(/\d+/) ?? [];
  return child === undefined ? undefined : Number(child);
}

/** Returns a number in /proc/PID/status. */
function statusOf(pid: string, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${field}:\\s+(\\d+)$`, 'm').exec(status)?.[1]);
}

function makeScenarios(scratch: string, started: Started): Scenario[] {
  const host = `${scratch}/host`;
  const more = MORE.filter((name) => onPath(name));
  const options = ['--sysroot', host, '--quiet'];
  succeed([host, ...FEW, ...more, '--quiet', '--no-record', '--no-sync']);
  const few = `${scratch}/few`;
  const all = `${scratch}/all`;
  const old = `${scratch}/old`;
  const users = `${scratch}/users`;
  succeed([few, ...FEW, ...options]);
  succeed([old, ...FEW, ...more, ...options]);
  copy(old, users);
  changeAsUser(users);
  changeHost(host);
  const build = (jail: string) => [jail, ...FEW, ...more, ...options];
  const extend = (jail: string) => [jail, ...more, ...options];
  const update = (jail: string) => ['update', jail, '--quiet'];
  // The jail of few programs is built from the present host.
  rmSync(few, { recursive: true });
  succeed([few, ...FEW, ...options]);
  succeed(build(all));
  const remove = (jail: string) => ['remove', jail, '--quiet'];
  return [
    scenario('a new jail', undefined, build, scratch, started),
    scenario('more programs', few, extend, scratch, started),
    scenario('an update', old, update, scratch, started),
    scenario("an update of a jail with a user's changes", users, update, scratch, started),
    scenario('a removal', few, remove, scratch, started),
    scenario("a removal of a jail with a user's changes", users, remove, scratch, started),
  ];
}

function scenario(
  name: string,
  start: string | undefined,
  args: Scenario['args'],
  scratch: string,
  started: Started,
): Scenario {
  const directory = mkdtempSync(path.join(scratch, 'model-'));
  const jail = `${directory}/jail`;
  if (start !== undefined) copy(start, jail);
  const before: Tree = start === undefined ? new Map() : treeOf(jail);
  const log = `${directory}/log`;
  const { status, stderr } = exec('strace', [
    ...['-f', '-o', log, '-e', `trace=${CALLS.join(',')}`],
    ...[...WORDS[started], ...args(jail)],
  ]);
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  const after = treeAt(jail);
  const record = recordAt(jail);
  const counts = countCalls(readFileSync(log, 'latin1'));
  rmSync(directory, { recursive: true });
  return { name, start, args, before, after, record, counts, started };
}

function treeAt(jail: string): Tree {
  return existsSync(jail) ? treeOf(jail) : new Map();
}

/** Returns whether a removal has ended. The user's files may keep the jail's directory. */
function isRemovedAt(jail: string): boolean {
  if (!existsSync(jail)) return true;
  const names = readdirSync(jail);
  return names.length > 0 && !names.includes('.jailbuild');
}

function recordAt(jail: string): string | undefined {
  const file = `${jail}/.jailbuild/record.json`;
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function countCalls(log: string): Map<string, number> {
  const threads = new Map<string, number>();
  for (const [call] of log.matchAll(/^\d+ +[a-z]\w+(?=\()/gm)) {
    threads.set(call, (threads.get(call) ?? 0) + 1);
  }
  const counts = new Map<string, number>();
  for (const [thread, count] of threads) {
    const call = thread.replace(/^\d+ +/, '');
    counts.set(call, Math.max(count, counts.get(call) ?? 0));
  }
  return counts;
}

/** Changes the content of every second library, and makes one program need fewer of them. */
function changeHost(host: string): void {
  const libraries = [...treeOf(host).keys()].filter(
    (at) => at.includes('.so') && lstatSync(host + at).isFile() && !at.endsWith('.cache'),
  );
  for (const [index, at] of libraries.entries()) {
    if (index % 2 === 1) appendFileSync(host + at, 'newer');
  }
  const replaced = onPath('curl') ? 'curl' : 'tar';
  rmSync(`${host}/usr/bin/${replaced}`);
  copyFileSync(`${host}/usr/bin/ls`, `${host}/usr/bin/${replaced}`);
}

/** Makes changes that an administrator makes in a jail: adds files, changes one, removes one. */
function changeAsUser(jail: string): void {
  mkdirSync(`${jail}/srv/data`, { recursive: true });
  writeFileSync(`${jail}/srv/data/upload`, 'precious');
  writeFileSync(`${jail}/usr/bin/own`, 'own', { mode: 0o755 });
  writeFileSync(`${jail}/usr/bin/grep`, 'changed');
  rmSync(`${jail}/usr/bin/sed`);
}

/**
 * Returns type, permissions and content of everything below a directory, and the times of files.
 */
function treeOf(root: string): Map<string, string> {
  const tree = new Map<string, string>();
  const walk = (inside: string): void => {
    for (const name of readdirSync(root + inside)) {
      const at = `${inside}/${name}`;
      if (at === '/.jailbuild') continue;
      const stat = lstatSync(root + at, { bigint: true });
      const own = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
      if (stat.isDirectory()) {
        tree.set(at, own);
        walk(at);
      } else if (stat.isSymbolicLink()) {
        tree.set(at, `${own} ${readlinkSync(root + at)}`);
      } else {
        const digest = createHash('sha1').update(readFileSync(root + at));
        tree.set(at, `${own} ${stat.mtimeNs} ${digest.digest('hex')}`);
      }
    }
  };
  walk('');
  return tree;
}

function copy(from: string, to: string): void {
  const { status, stderr } = exec('cp', ['-a', from, to]);
  if (status !== 0) throw new Error(stderr);
}

function succeed(args: readonly string[]): void {
  const { status, stderr } = jailbuild(args);
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
}
