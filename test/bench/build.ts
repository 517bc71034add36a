import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { JAILBUILD, PROJECT } from '../support/cli.js';
import { type Contender, compare } from './compare.js';

export const FEW = ['env', 'bash', 'ps', 'ls', 'top'];
const SMALL_ROUNDS = 25;
const LARGE_ROUNDS = 3;

/** The main job against the peers: five programs, and all of /usr/bin and /usr/sbin. */
export async function benchBuild(): Promise<void> {
  // jk_cp refuses a jail below a directory that others may write to, as /tmp.
  const scratch = mkdtempSync('/srv/jailbuild-bench-');
  try {
    const node: Contender = { name: 'node -e 0', command: () => [process.execPath, '-e', '0'] };
    const start: Contender = {
      name: 'jailbuild --version',
      command: () => [process.execPath, JAILBUILD, '--version'],
    };
    const dryRun: Contender = {
      name: 'jailbuild --dry-run',
      command: (d) => [process.execPath, JAILBUILD, `${d}/jail`, ...FEW, '--dry-run', '--quiet'],
    };
    const few = FEW.map((name) => `/usr/bin/${name}`);
    compare(
      FEW.join(' '),
      [...contenders(few), copyOfResult(few), dryRun, start, node],
      SMALL_ROUNDS,
      scratch,
    );
    const all = elfPrograms(['/usr/bin', '/usr/sbin']);
    compare(
      `all ${all.length} ELF programs of /usr/bin and /usr/sbin`,
      [...contenders(all), copyOfResult(all)],
      LARGE_ROUNDS,
      scratch,
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function contenders(programs: readonly string[]): Contender[] {
  const loop = path.join(PROJECT, 'test/bench/ldd-loop.sh');
  return [
    {
      name: 'jailbuild',
      command: (d) => [process.execPath, JAILBUILD, `${d}/jail`, ...programs],
    },
    {
      // As the peers, which do not wait for the disk.
      name: 'jailbuild --no-sync',
      command: (d) => [process.execPath, JAILBUILD, `${d}/jail`, ...programs, '--no-sync'],
    },
    { name: 'ldd and cp -p in a loop', command: (d) => [loop, `${d}/jail`, ...programs] },
    { name: 'jk_cp', command: (d) => ['jk_cp', '-j', d, ...programs] },
    {
      name: 'dracut-install',
      command: (d) => ['/usr/lib/dracut/dracut-install', '-D', d, '-l', '-a', ...programs],
    },
    {
      name: 'lddtree --copy-to-tree',
      command: (d) => ['/usr/bin/python3', '/usr/bin/lddtree', '--copy-to-tree', d, ...programs],
    },
  ];
}

/** The bound: only the copying, of a jail that is there already. */
function copyOfResult(programs: readonly string[]): Contender {
  return {
    name: 'cp -a of the finished jail',
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
