import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { PROJECT } from '../support/cli.js';
import { ENVIRONMENT } from './compare.js';

/** Measurements of one command in all rounds. */
export interface Laps {
  /** Wall times in microseconds, sorted. */
  readonly times: readonly number[];
  /** CPU times in microseconds, sorted. */
  readonly processor: readonly number[];
  /** Peak memory of all runs, in kilobytes. */
  readonly memory: number;
  /** Whether a run returned a status other than 0. */
  readonly failed: boolean;
}

/** Compiles a static C program, from a file or, if that is `-`, from text. */
export function compile(source: string, out: string, input = ''): void {
  const compiler = spawnSync('musl-gcc', ['--version']).error === undefined ? 'musl-gcc' : 'gcc';
  const flags = ['-static', '-O2', '-s', '-idirafter', '/usr/include'];
  const headers = [
    '-idirafter',
    `/usr/include/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu`,
  ];
  const { status, stderr } = spawnSync(compiler, [...flags, ...headers, '-xc', source, '-o', out], {
    input,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${source}: ${stderr}`);
}

/**
 * Times commands in turn with a small C program: a script takes longer to start a process than some
 * of them run.
 *
 * @param scratch a directory for that program
 * @param wrapper a command that is given the program to run
 */
export function inTurn(
  commands: readonly (readonly string[])[],
  rounds: number,
  scratch: string,
  wrapper: readonly string[] = [],
): Laps[] {
  const stopwatch = path.join(scratch, 'stopwatch');
  compile(path.join(PROJECT, 'test/bench/stopwatch.c'), stopwatch);
  const words = commands.flatMap((command, i) => (i === 0 ? command : ['---', ...command]));
  const [file = '', ...args] = [...wrapper, stopwatch, String(rounds), ...words];
  const { stdout } = spawnSync(file, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: ENVIRONMENT,
  });
  const laps = commands.map(() => ({
    times: [] as number[],
    processor: [] as number[],
    memory: 0,
    failed: false,
  }));
  for (const line of stdout.trim().split('\n')) {
    const [place = 0, micros = 0, status, memory = 0, processor = 0] = line.split(' ').map(Number);
    const lap = laps[place];
    if (lap === undefined) continue;
    lap.times.push(micros);
    lap.processor.push(processor);
    lap.memory = Math.max(lap.memory, memory);
    if (status !== 0) lap.failed = true;
  }
  for (const { times, processor } of laps)
    for (const list of [times, processor]) list.sort((a, b) => a - b);
  return laps;
}

/** Returns the median and the minimum of some times, in their unit. */
export function middle(times: readonly number[]): readonly [median: number, least: number] {
  return [times[Math.floor(times.length / 2)] ?? Number.NaN, times[0] ?? Number.NaN];
}
