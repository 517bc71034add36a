import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { JAILBUILD } from '../support/cli.js';
import { elfPrograms } from './build.js';
import { COMMAND, type Contender, compare, ENVIRONMENT } from './compare.js';
import { printGoals } from './goals.js';

const ROUNDS = 5;
/** A round takes minutes, and one is enough. */
const COMPRESSED_ROUNDS = 1;

/**
 * A jail of all of /usr/bin and /usr/sbin as archives and as an image, compared with the usual
 * tools.
 */
export async function benchExport(): Promise<void> {
  const scratch = mkdtempSync('/srv/jailbuild-bench-');
  const jail = `${scratch}/jail`;
  try {
    const programs = elfPrograms(['/usr/bin', '/usr/sbin']);
    // Only what belongs in the archives, for tools that include everything.
    run(jail, ...programs, '--no-record');
    const tar = (name: string, ...options: readonly string[]): Contender => ({
      name: `tar --create ${options.join(' ')}`,
      command: (d) => [
        ...(['tar', '--create', '--format=pax', '--sort=name', '--numeric-owner'] as const),
        ...[...options, `--file=${d}/${name}`, `--directory=${jail}`, '.'],
      ],
    });
    const measure = (form: string, rounds: number, ...contenders: readonly Contender[]) => {
      const title = `a jail of ${programs.length} programs as ${form}`;
      const [ours, peer] = contenders;
      const timings = compare(title, contenders, rounds, scratch);
      if (ours === undefined || peer === undefined) return;
      printGoals(timings, [{ of: ours.name, to: peer.name, wall: 1, processor: 1.3 }]);
    };
    measure('tar', ROUNDS, exported(jail, 'tar:out.tar'), tar('out.tar'));
    const rounds = COMPRESSED_ROUNDS;
    measure(
      'tar.zst',
      rounds,
      exported(jail, 'tar:out.tar.zst'),
      tar('out.tar.zst', '--use-compress-program=zstd -T0'),
    );
    measure('tar.gz', rounds, exported(jail, 'tar:out.tar.gz'), tar('out.tar.gz', '--gzip'));
    const image = exported(jail, 'oci:out');
    measure('an OCI layout', rounds, image, umociInsert(jail), umociRepack(jail));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function exported(jail: string, to: string): Contender {
  const [form, name] = to.split(':');
  return {
    name: `jailbuild export --to ${to}`,
    command: (d) => [...COMMAND, ...['export', jail, '--quiet', '--to', `${form}:${d}/${name}`]],
  };
}

function umociInsert(jail: string): Contender {
  return {
    name: 'umoci insert',
    prepare: newImage,
    command: (d) => ['umoci', 'insert', '--image', `${d}/out:latest`, jail, '/'],
  };
}

/** Packs what was added to the root of an unpacked image, which umoci finds by comparing. */
function umociRepack(jail: string): Contender {
  return {
    name: 'umoci repack',
    prepare: (d) => {
      newImage(d);
      succeed('umoci', 'unpack', '--image', `${d}/out:latest`, `${d}/bundle`);
      succeed('cp', '-a', `${jail}/.`, `${d}/bundle/rootfs`);
    },
    command: (d) => ['umoci', 'repack', '--image', `${d}/out:latest`, `${d}/bundle`],
  };
}

function newImage(directory: string): void {
  succeed('umoci', 'init', '--layout', `${directory}/out`);
  succeed('umoci', 'new', '--image', `${directory}/out:latest`);
}

function run(...args: readonly string[]): void {
  succeed(process.execPath, JAILBUILD, ...args, '--quiet');
}

function succeed(file: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(file, args, { env: ENVIRONMENT, encoding: 'utf8' });
  if (status !== 0) throw error ?? new Error(stderr);
}
