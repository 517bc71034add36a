import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { OBSERVER } from '../prove/support.js';
import { PROJECT } from '../support/cli.js';
import { ENVIRONMENT } from './compare.js';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const NATIVE = path.join(PROJECT, 'src/native');

/** Jobs of different kinds, as shell scripts; `$out` is a directory of their own. */
const JOBS: Readonly<Record<string, string>> = {
  compile: `cd ${NATIVE} && ls launcher/*.c engine/*.c | xargs -P2 -I@ sh -c 'gcc -DVERSION=\\"x\\" -O2 -c @ -o $out/$(basename @).o'`,
  shell: 'for i in $(seq 300); do /bin/cat /etc/hostname > /dev/null; /bin/true; done',
  imports: "/usr/bin/python3 -c 'import json, ssl, sqlite3, asyncio, email, logging, unittest'",
  compute: "/usr/bin/python3 -c 'sum(i * i % 7 for i in range(8000000))'",
  server:
    '/usr/bin/python3 -m http.server --bind 127.0.0.1 7398 --directory /usr/share/zoneinfo > /dev/null 2>&1 & sleep 1; for i in $(seq 60); do echo "GET /UTC HTTP/1.0\r\n\r" | busybox nc 127.0.0.1 7398 > /dev/null; done; kill $!',
};
const WAYS: Readonly<Record<string, readonly string[]>> = {
  bare: [],
  observer: [OBSERVER, '--report', '3', '--'],
  'observer, notify': [OBSERVER, '--report', '3', '--mechanism', 'notify', '--'],
  'strace -f': ['strace', '-f', '-o', '/dev/null'],
  'strace --seccomp-bpf': [
    ...['strace', '-f', '--seccomp-bpf', '-e', 'trace=%file,%desc', '-o', '/dev/null'],
  ],
};

/** The processor time of observed runs beside that of bare ones and of strace(1). */
export async function benchObserve(): Promise<void> {
  const out = mkdtempSync(path.join(tmpdir(), 'jailbuild-bench-'));
  try {
    for (const [job, script] of Object.entries(JOBS)) {
      const times = new Map<string, number[]>();
      for (let round = 0; round < ROUNDS; round++) {
        for (const [way, words] of Object.entries(WAYS)) {
          const seconds = processorTime([...words, 'sh', '-c', script], out);
          times.set(way, [...(times.get(way) ?? []), seconds]);
        }
      }
      const bare = Math.min(...(times.get('bare') ?? [1]));
      const cells = [...times].map(
        ([way, laps]) => `${way} ${(Math.min(...laps) / bare).toFixed(2)}`,
      );
      process.stdout.write(`${job}: ${bare.toFixed(2)} s; ${cells.slice(1).join(', ')}\n`);
    }
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** User and system time of a command and of all that it has waited for, in seconds. */
function processorTime(command: readonly string[], out: string): number {
  const nowhere = openSync('/dev/null', 'w');
  const { stderr, status } = spawnSync('/usr/bin/time', ['-f', '%U %S', ...command], {
    stdio: ['ignore', 'ignore', 'pipe', nowhere],
    encoding: 'utf8',
    env: { ...ENVIRONMENT, out },
  });
  closeSync(nowhere);
  if (status === 125) throw new Error(stderr);
  const [user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return user + system;
}
