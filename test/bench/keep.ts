import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { JAILBUILD } from '../support/cli.js';
import { elfPrograms, FEW } from './build.js';
import { type Contender, compare, ENVIRONMENT } from './compare.js';

const SMALL_ROUNDS = 25;
const LARGE_ROUNDS = 5;

/** What it costs to build again where nothing has changed, and to update one library. */
export async function benchKeep(): Promise<void> {
  const scratch = mkdtempSync('/srv/jailbuild-bench-');
  try {
    const node: Contender = { name: 'node -e 0', command: () => [process.execPath, '-e', '0'] };
    const few = FEW.map((name) => `/usr/bin/${name}`);
    const all = elfPrograms(['/usr/bin', '/usr/sbin']);
    for (const [title, programs, rounds] of [
      [FEW.join(' '), few, SMALL_ROUNDS],
      [`all ${all.length} ELF programs of /usr/bin and /usr/sbin`, all, LARGE_ROUNDS],
    ] as const) {
      const place = `${scratch}/${programs.length}`;
      run(`${place}/jail`, ...programs);
      run(`${place}/host`, ...programs, '--no-record');
      run(`${place}/updated`, ...programs, '--sysroot', `${place}/host`);
      compare(
        `${title}, in the jail that is there`,
        [
          node,
          job('the same build, nothing changed', `${place}/jail`, ...programs),
          job('update, nothing changed', 'update', `${place}/jail`),
          {
            ...job('update, one library changed', 'update', `${place}/updated`),
            prepare: () => touchLibrary(`${place}/host`),
          },
        ],
        rounds,
        scratch,
      );
      rmSync(place, { recursive: true });
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function job(name: string, ...args: readonly string[]): Contender {
  return { name, command: () => [process.execPath, JAILBUILD, ...args, '--quiet'] };
}

/** With the clock out of it, and in the environment of the contenders, which records remember. */
function run(...args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [JAILBUILD, ...args, '--quiet'], {
    env: ENVIRONMENT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

/** The C library gets another time, which is what a newer one has too. */
function touchLibrary(host: string): void {
  const libc = readdirSync(host, { recursive: true, encoding: 'utf8' }).find((name) =>
    name.endsWith('/libc.so.6'),
  );
  if (libc === undefined) throw new Error('no libc.so.6');
  const now = new Date();
  utimesSync(`${host}/${libc}`, now, now);
}
