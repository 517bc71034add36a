import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { FRONT } from '../front/support.js';
import { JAILBUILD } from '../support/cli.js';

/** The command as installed: the native front if it is built, otherwise the script. */
export const COMMAND: readonly [file: string, ...args: string[]] = existsSync(FRONT)
  ? [FRONT]
  : [process.execPath, JAILBUILD];

/** One program in a comparison. */
export interface Contender {
  readonly name: string;
  /** Command line, given an empty directory for this run. */
  command(directory: string): readonly [file: string, ...args: string[]];
  /** Preparation before the clock starts. */
  prepare?(directory: string): void;
}

export interface Timing {
  readonly name: string;
  /** Wall times in milliseconds, one for each round, sorted. */
  readonly times: readonly number[];
  /** Mean processor time of all its processes, in milliseconds. */
  readonly processor: number;
}

/**
 * Environment of contenders. Variables for Node change its start time: NODE_EXTRA_CA_CERTS with the
 * bundle of a distribution more than doubles it.
 */
export const ENVIRONMENT = {
  PATH: process.env.PATH,
  HOME: '/root',
  TERM: 'xterm',
  LANG: 'C.UTF-8',
};

/** Number of rounds: BENCH_ROUNDS, or the default of the job. */
export function roundsOf(usual: number): number {
  return Number(process.env.BENCH_ROUNDS ?? usual);
}

/**
 * Runs contenders in turn, so that all see the same state of the machine, and prints the medians
 * with their ratio to the first. A contender that is not installed, or fails, is reported and left
 * out.
 *
 * @param scratch a directory whose parents only root may write to, as some peers require
 */
export function compare(
  title: string,
  contenders: readonly Contender[],
  usualRounds: number,
  scratch: string,
): Timing[] {
  const rounds = roundsOf(usualRounds);
  const times = new Map<string, number[]>();
  const processor = new Map<string, number>();
  const failed = new Map<string, string>();
  for (let round = -1; round < rounds; round++) {
    for (const contender of contenders) {
      if (failed.has(contender.name)) continue;
      const directory = mkdtempSync(path.join(scratch, 'run-'));
      try {
        contender.prepare?.(directory);
        const [file, ...args] = contender.command(directory);
        const before = processorTime();
        const start = performance.now();
        const { status, stderr, error } = spawnSync(file, args, {
          stdio: ['ignore', 'ignore', 'pipe'],
          env: ENVIRONMENT,
          encoding: 'utf8',
        });
        const time = performance.now() - start;
        if (error !== undefined || status !== 0) {
          const reason = error?.message ?? `status ${status}: ${stderr.trim().split('\n').at(-1)}`;
          failed.set(contender.name, reason);
          continue;
        }
        // The first round warms the page cache.
        if (round < 0) continue;
        times.set(contender.name, [...(times.get(contender.name) ?? []), time]);
        const used = processorTime() - before;
        processor.set(contender.name, (processor.get(contender.name) ?? 0) + used / rounds);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    }
  }
  const timings = [...times].map(([name, all]) => ({
    name,
    times: all.sort((a, b) => a - b),
    processor: processor.get(name) ?? Number.NaN,
  }));
  print(title, timings, failed, rounds);
  return timings;
}

/**
 * Returns the processor time of ended processes in milliseconds (proc_pid_stat(5), cutime and
 * cstime). Its unit is 10 ms, which averages out over the rounds.
 */
function processorTime(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

export function median({ times }: Pick<Timing, 'times'>): number {
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}

function print(
  title: string,
  timings: readonly Timing[],
  failed: ReadonlyMap<string, string>,
  rounds: number,
): void {
  console.log(`\n${title} (median of ${rounds} interleaved runs)`);
  const [first] = timings;
  const base = first === undefined ? Number.NaN : median(first);
  for (const timing of timings) {
    const time = median(timing);
    const least = timing.times[0] ?? Number.NaN;
    console.log(
      `  ${timing.name.padEnd(34)} ${time.toFixed(1).padStart(9)} ms   least ${least.toFixed(1).padStart(9)}   processor ${timing.processor.toFixed(0).padStart(6)}   ${(time / base).toFixed(2).padStart(6)} x`,
    );
  }
  for (const [name, reason] of failed) console.log(`  ${name.padEnd(34)} not measured: ${reason}`);
}
