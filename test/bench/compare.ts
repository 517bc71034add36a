import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

/** One program in a comparison. */
export interface Contender {
  readonly name: string;
  /** The command line, given an empty directory of its own for this one run. */
  command(directory: string): readonly [file: string, ...args: string[]];
  /** What is made ready before the clock runs. */
  prepare?(directory: string): void;
}

export interface Timing {
  readonly name: string;
  /** Milliseconds of wall time, one for each round, sorted. */
  readonly times: readonly number[];
}

/**
 * What contenders see of the environment. Variables for Node change what its start costs:
 * NODE_EXTRA_CA_CERTS, with the bundle of a distribution, more than doubles it.
 */
export const ENVIRONMENT = {
  PATH: process.env.PATH,
  HOME: '/root',
  TERM: 'xterm',
  LANG: 'C.UTF-8',
};

/**
 * Runs contenders in turn, so that all see the same moods of the machine, and prints the medians with
 * their ratio to the first one. A contender that is not installed, or that fails, is told and left out.
 *
 * @param scratch a directory whose parents only root may write to: some peers insist
 */
export function compare(
  title: string,
  contenders: readonly Contender[],
  rounds: number,
  scratch: string,
): Timing[] {
  const times = new Map<string, number[]>();
  const failed = new Map<string, string>();
  for (let round = -1; round < rounds; round++) {
    for (const contender of contenders) {
      if (failed.has(contender.name)) continue;
      const directory = mkdtempSync(path.join(scratch, 'run-'));
      try {
        contender.prepare?.(directory);
        const [file, ...args] = contender.command(directory);
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
        if (round >= 0) times.set(contender.name, [...(times.get(contender.name) ?? []), time]);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    }
  }
  const timings = [...times].map(([name, all]) => ({ name, times: all.sort((a, b) => a - b) }));
  print(title, timings, failed, rounds);
  return timings;
}

export function median({ times }: Timing): number {
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
      `  ${timing.name.padEnd(34)} ${time.toFixed(1).padStart(9)} ms   least ${least.toFixed(1).padStart(9)}   ${(time / base).toFixed(2).padStart(6)} x`,
    );
  }
  for (const [name, reason] of failed) console.log(`  ${name.padEnd(34)} not measured: ${reason}`);
}
