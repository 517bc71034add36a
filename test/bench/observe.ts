import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { OBSERVER } from '../prove/support.js';
import { JAILBUILD, PROJECT } from '../support/cli.js';
import { ENVIRONMENT, roundsOf } from './compare.js';
import { compile } from './stopwatch.js';

const ROUNDS = roundsOf(5);
const NATIVE = path.join(PROJECT, 'src/native');

interface BenchJob {
  /** A shell script; `$out` is a directory of its own. */
  readonly script: string;
  /** Maximum time of an observed run, as a multiple of an unobserved one. */
  readonly limit?: number;
}

/** Jobs of different kinds; `start` does nothing, and shows the overhead of every run. */
const JOBS: Readonly<Record<string, BenchJob>> = {
  start: { script: ':' },
  compile: {
    limit: 1.8,
    script: `cd ${NATIVE} && ls launcher/*.c engine/*.c | xargs -P2 -I@ sh -c 'gcc -DVERSION=\\"x\\" -O2 -c @ -o $out/$(basename @).o'`,
  },
  shell: {
    limit: 1.8,
    script: 'for i in $(seq 300); do /bin/cat /etc/hostname > /dev/null; /bin/true; done',
  },
  imports: {
    limit: 1.1,
    script: "/usr/bin/python3 -c 'import json, ssl, sqlite3, asyncio, email, logging, unittest'",
  },
  compute: { limit: 1.1, script: "/usr/bin/python3 -c 'sum(i * i % 7 for i in range(8000000))'" },
  server: {
    script:
      '/usr/bin/python3 -m http.server --bind 127.0.0.1 7398 --directory /usr/share/zoneinfo > /dev/null 2>&1 & sleep 1; for i in $(seq 60); do echo "GET /UTC HTTP/1.0\r\n\r" | busybox nc 127.0.0.1 7398 > /dev/null; done; kill $!',
  },
};
const WAYS: Readonly<Record<string, readonly string[]>> = {
  bare: [],
  observer: [OBSERVER, '--report', '3', '--'],
  'observer, notify': [OBSERVER, '--report', '3', '--mechanism', 'notify', '--'],
  'jailbuild trace': [process.execPath, JAILBUILD, 'trace', '-q', '-o', '/dev/null', '--'],
  'strace -f': ['strace', '-f', '-o', '/dev/null'],
  'strace --seccomp-bpf': [
    ...['strace', '-f', '--seccomp-bpf', '-e', 'trace=%file,%desc', '-o', '/dev/null'],
  ],
};

/** Processor time of observed runs, unobserved ones and strace(1), in turn. */
export async function benchObserve(): Promise<void> {
  const out = mkdtempSync(path.join(tmpdir(), 'jailbuild-bench-'));
  const only = process.env.BENCH_JOBS?.split(',');
  compile(path.join(PROJECT, 'test/bench/processor-time.c'), path.join(out, 'processor-time'));
  try {
    for (const [job, { script, limit }] of Object.entries(JOBS)) {
      if (only !== undefined && !only.includes(job)) continue;
      const times = new Map<string, number[]>();
      for (let round = 0; round < ROUNDS; round++) {
        for (const [way, words] of Object.entries(WAYS)) {
          const seconds = processorTime([...words, 'sh', '-c', script], out);
          times.set(way, [...(times.get(way) ?? []), seconds]);
        }
      }
      const bare = times.get('bare') ?? [];
      const cells = [...times].slice(1).map(([way, laps]) => `${way} ${ratios(laps, bare)}`);
      const goal = limit === undefined ? '' : ` (limit of the observer ${limit})`;
      process.stdout.write(
        `${job}: ${median(bare).toFixed(3)} s${goal}; median and least ratio: ${cells.join(', ')}\n`,
      );
    }
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function ratios(laps: readonly number[], bare: readonly number[]): string {
  const least = Math.min(...laps) / Math.min(...bare);
  return `${(median(laps) / median(bare)).toFixed(2)} ${least.toFixed(2)}`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** Returns user and system time of a command and all its descendants, in seconds. */
function processorTime(command: readonly string[], out: string): number {
  const nowhere = openSync('/dev/null', 'w');
  const { stderr, status } = spawnSync(path.join(out, 'processor-time'), command, {
    stdio: ['ignore', 'ignore', 'pipe', nowhere],
    encoding: 'utf8',
    env: { ...ENVIRONMENT, out },
  });
  closeSync(nowhere);
  if (status === 125) throw new Error(stderr);
  return Number(stderr.trim().split('\n').at(-1)) / 1e6;
}
