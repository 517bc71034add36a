import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, utimesSync } from 'node:fs';
import { JAILBUILD } from '../support/cli.js';
import { elfPrograms, FEW, inScratch, PEERS, type Peer } from './build.js';
import { COMMAND, type Contender, compare, ENVIRONMENT } from './compare.js';
import { printGoals } from './goals.js';

const SMALL_ROUNDS = 25;
const LARGE_ROUNDS = 5;
const SAME = 'the same build, nothing changed';

/**
 * Cost of building again without changes, and of updating one library; and what peers do when run
 * again.
 */
export async function benchKeep(): Promise<void> {
  keep(
    FEW.join(' '),
    FEW.map((name) => `/usr/bin/${name}`),
    PEERS,
    SMALL_ROUNDS,
    2,
  );
}

/** The same for all programs, with only the fastest peer, since peers repeat all their work. */
export async function benchKeepAll(): Promise<void> {
  const all = elfPrograms(['/usr/bin', '/usr/sbin']);
  const title = `all ${all.length} ELF programs of /usr/bin and /usr/sbin`;
  const peers = PEERS.filter(({ name }) => name === 'jk_cp');
  keep(title, all, peers, LARGE_ROUNDS, 3);
}

function keep(
  title: string,
  programs: readonly string[],
  peers: readonly Peer[],
  rounds: number,
  limit: number,
): void {
  const node: Contender = { name: 'node -e 0', command: () => [process.execPath, '-e', '0'] };
  inScratch((scratch) => {
    run(`${scratch}/jail`, ...programs);
    run(`${scratch}/host`, ...programs, '--no-record');
    run(`${scratch}/updated`, ...programs, '--sysroot', `${scratch}/host`);
    const timings = compare(
      `${title}, in the jail that is there`,
      [
        node,
        job(SAME, `${scratch}/jail`, ...programs),
        {
          name: 'jailbuild.cjs, nothing changed',
          command: () => [process.execPath, JAILBUILD, `${scratch}/jail`, ...programs, '--quiet'],
        },
        job('update, nothing changed', 'update', `${scratch}/jail`),
        {
          ...job('update, one library changed', 'update', `${scratch}/updated`),
          prepare: () => touchLibrary(`${scratch}/host`),
        },
        ...peers.map((peer) => again(peer, mkdtempSync(`${scratch}/peer-`), programs)),
      ],
      rounds,
      scratch,
    );
    printGoals(timings, [{ of: SAME, to: node.name, wall: limit, processor: limit }]);
  });
}

/** Runs a peer again on the jail that it made. */
function again({ name, command }: Peer, place: string, programs: readonly string[]): Contender {
  const line = command(place, programs);
  spawnSync(line[0], line.slice(1), { env: ENVIRONMENT, stdio: 'ignore' });
  return { name: `${name}, again`, command: () => line };
}

function job(name: string, ...args: readonly string[]): Contender {
  return { name, command: () => [...COMMAND, ...args, '--quiet'] };
}

/** Outside the measured time, and in the environment of the contenders, which records contain. */
function run(...args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [JAILBUILD, ...args, '--quiet'], {
    env: ENVIRONMENT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

/** Gives the C library another time, as a newer one has. */
function touchLibrary(host: string): void {
  const libc = readdirSync(host, { recursive: true, encoding: 'utf8' }).find((name) =>
    name.endsWith('/libc.so.6'),
  );
  if (libc === undefined) throw new Error('no libc.so.6');
  const now = new Date();
  utimesSync(`${host}/${libc}`, now, now);
}
