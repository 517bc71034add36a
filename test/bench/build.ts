import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { JAILBUILD, PROJECT } from '../support/cli.js';
import { COMMAND, type Contender, compare } from './compare.js';
import { type Goal, printGoals } from './goals.js';

export const FEW = ['env', 'bash', 'ps', 'ls', 'top'];
/** Everything is written below this directory, in memory, so that the disk does not count. */
export const PLACE = process.env.BENCH_PLACE ?? '/srv';
const SMALL_ROUNDS = 25;
const LARGE_ROUNDS = 3;

const [UNSYNCED, COPY] = ['jailbuild --no-sync', 'cp -a of the finished jail'];
/** Without it, every round but the first would reuse earlier results. */
const ANEW = 'jailbuild --no-sync --no-cache';
const PACKAGES = 'jailbuild --no-sync --with-package';
const SMALL_GOALS: readonly Goal[] = [
  { of: UNSYNCED, to: 'jk_cp', wall: 0.7, processor: 0.7 },
  { of: UNSYNCED, to: 'dracut-install', wall: 0.6, processor: 0.6 },
  { of: 'jailbuild', to: 'jk_cp', wall: 1 },
];
const LARGE_GOALS: readonly Goal[] = [
  { of: UNSYNCED, to: 'jk_cp', wall: 1 / 8, processor: 1 / 8 },
  { of: UNSYNCED, to: 'dracut-install', wall: 1 / 8, processor: 1 / 8 },
  { of: UNSYNCED, to: COPY, wall: 1.1, processor: 1.6 },
];

/** The main job, five programs, compared with peers. */
export async function benchBuild(): Promise<void> {
  const node: Contender = { name: 'node -e 0', command: () => [process.execPath, '-e', '0'] };
  const start: Contender = {
    name: 'jailbuild --version',
    command: () => [...COMMAND, '--version'],
  };
  const dryRun: Contender = {
    name: 'jailbuild --dry-run',
    command: (d) => [...COMMAND, `${d}/jail`, ...FEW, '--dry-run', '--quiet'],
  };
  const script: Contender = {
    name: 'jailbuild.cjs --no-sync',
    command: (d) => [process.execPath, JAILBUILD, `${d}/jail`, ...FEW, '--no-sync'],
  };
  const few = FEW.map((name) => `/usr/bin/${name}`);
  const packages: Contender = {
    name: PACKAGES,
    command: (d) => [...COMMAND, `${d}/jail`, ...few, '--no-sync', '--with-package'],
  };
  const all = [...contenders(few), packages, script, copyOfResult(few), dryRun, start, node];
  inScratch((scratch) =>
    printGoals(compare(FEW.join(' '), all, SMALL_ROUNDS, scratch), SMALL_GOALS),
  );
}

/** The large job, all of /usr/bin and /usr/sbin. Takes minutes and several gigabytes. */
export async function benchBuildAll(): Promise<void> {
  const all = elfPrograms(['/usr/bin', '/usr/sbin']);
  inScratch((scratch) =>
    printGoals(
      compare(
        `all ${all.length} ELF programs of /usr/bin and /usr/sbin`,
        [...contenders(all), copyOfResult(all)],
        LARGE_ROUNDS,
        scratch,
      ),
      LARGE_GOALS,
    ),
  );
}

/**
 * Returns a directory to work in: jk_cp refuses jails below a directory that others may write to,
 * such as /tmp.
 */
export function inScratch(work: (scratch: string) => void): void {
  const scratch = mkdtempSync(path.join(PLACE, 'jailbuild-bench-'));
  try {
    work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function contenders(programs: readonly string[]): Contender[] {
  return [
    {
      name: 'jailbuild',
      command: (d) => [...COMMAND, `${d}/jail`, ...programs],
    },
    {
      // Like the peers, which do not wait for the disk.
      name: 'jailbuild --no-sync',
      command: (d) => [...COMMAND, `${d}/jail`, ...programs, '--no-sync'],
    },
    {
      // A name that the front leaves to Node, which has a plan of the same request.
      name: 'jailbuild --no-sync, by Node',
      command: (d) => [...COMMAND, `${d}/../${path.basename(d)}/jail`, ...programs, '--no-sync'],
    },
    {
      // A request that no earlier build had, of files that it has read.
      name: 'jailbuild --no-sync, new request',
      command: (d) => [...COMMAND, `${d}/jail`, ...programs, '--no-sync', '--directory', d],
    },
    {
      name: ANEW,
      command: (d) => [...COMMAND, `${d}/jail`, ...programs, '--no-sync', '--no-cache'],
    },
    ...PEERS.map(({ name, command }) => ({
      name,
      command: (d: string) => command(d, programs),
    })),
  ];
}

/** Another program for the same job. */
export interface Peer {
  readonly name: string;
  /** Command line, given a directory of its own. */
  command(directory: string, programs: readonly string[]): readonly [file: string, ...string[]];
}

export const PEERS: readonly Peer[] = [
  {
    name: 'ldd and cp -p in a loop',
    command: (d, programs) => [
      path.join(PROJECT, 'test/bench/ldd-loop.sh'),
      `${d}/jail`,
      ...programs,
    ],
  },
  { name: 'jk_cp', command: (d, programs) => ['jk_cp', '-j', d, ...programs] },
  {
    name: 'dracut-install',
    command: (d, programs) => [
      '/usr/lib/dracut/dracut-install',
      ...['-D', d, '-l', '-a', ...programs],
    ],
  },
  {
    name: 'lddtree --copy-to-tree',
    command: (d, programs) => [
      '/usr/bin/python3',
      ...['/usr/bin/lddtree', '--copy-to-tree', d, ...programs],
    ],
  },
];

/** The lower bound: only copying an existing jail. */
function copyOfResult(programs: readonly string[]): Contender {
  return {
    name: COPY,
    prepare: (d) => {
      spawnSync(process.execPath, [JAILBUILD, `${d}/done`, ...programs, '--quiet']);
    },
    command: (d) => ['cp', '-a', `${d}/done`, `${d}/jail`],
  };
}

export function elfPrograms(directories: readonly string[]): string[] {
  const magic = Buffer.alloc(4);
  return directories
    .flatMap((directory) => readdirSync(directory).map((name) => `${directory}/${name}`))
    .filter((file) => {
      if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
      const fd = openSync(file, 'r');
      try {
        readSync(fd, magic, 0, 4, 0);
      } finally {
        closeSync(fd);
      }
      return magic.toString('latin1') === '\x7fELF';
    });
}
