import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { JAILBUILD } from '../support/cli.js';
import { elfPrograms } from './build.js';
import { COMMAND, ENVIRONMENT, roundsOf } from './compare.js';
import { printGoals } from './goals.js';
import { inTurn, middle } from './stopwatch.js';

const ROUNDS = roundsOf(15);

/** The closure of all programs without copying, compared with libtree. */
export async function benchResolve(): Promise<void> {
  const programs = elfPrograms(['/usr/bin', '/usr/sbin']);
  const scratch = mkdtempSync('/srv/jailbuild-bench-');
  // Without -vv libtree omits dependencies of libraries in the C library's packages; with -vvv it
  // repeats libraries it has listed.
  const contenders = [
    ['jailbuild tree', ...COMMAND, 'tree', ...programs],
    // Without the front, which answers a repeated command; facts of files are known.
    ['jailbuild.cjs tree', process.execPath, JAILBUILD, 'tree', ...programs],
    ['jailbuild tree --no-cache', ...COMMAND, 'tree', '--no-cache', ...programs],
    ['jailbuild tree --json', ...COMMAND, 'tree', '--json', ...programs],
    ['libtree -p -vv', 'libtree', '-p', '-vv', ...programs],
    ['libtree -p -vvv', 'libtree', '-p', '-vvv', ...programs],
    ['node -e 0', process.execPath, '-e', '0'],
  ] as const;
  try {
    console.log(
      `\nclosure of all ${programs.length} ELF programs of /usr/bin and /usr/sbin (median of ${ROUNDS} interleaved runs)`,
    );
    const laps = inTurn(
      contenders.map(([, ...command]) => command),
      ROUNDS,
      scratch,
    );
    const [first] = middle(laps[0]?.times ?? []);
    for (const [i, [name, file, ...args]] of contenders.entries()) {
      const { times = [], memory = 0, failed = true } = laps[i] ?? {};
      const [median, least] = middle(times);
      const ratio = (median / first).toFixed(2);
      console.log(
        `  ${name.padEnd(24)} ${ms(median)} ms   least ${ms(least)}   ${ratio.padStart(6)} x   ${(memory / 1024).toFixed(0).padStart(4)} MB${failed ? `   ${missed(file, args)}` : ''}`,
      );
    }
    printGoals(
      contenders.map(([name], i) => ({
        name,
        times: laps[i]?.times ?? [],
        processor: Number.NaN,
      })),
      [
        { of: 'jailbuild tree --no-cache', to: 'libtree -p -vv', wall: 4 },
        { of: 'jailbuild tree', to: 'libtree -p -vv', wall: 1 },
      ],
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function ms(micros: number): string {
  return (micros / 1000).toFixed(1).padStart(8);
}

/** Why a contender returned a status other than 0. */
function missed(file: string, args: readonly string[]): string {
  const { stderr, error } = spawnSync(file, args, {
    encoding: 'utf8',
    env: ENVIRONMENT,
    maxBuffer: 1 << 28,
  });
  if (error !== undefined) return error.message;
  const lines = stderr.trim().split('\n');
  return `${lines.length} programs fail: ${lines[0]}`;
}
