import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../../src/errors.js';
import { build } from '../../src/library/build.js';
import { elfFiles, type LoaderList, OurLoader, parseList } from '../support/loader-oracle.js';

export interface InJailResult {
  /** Number of programs for which a jail was built and checked. */
  readonly proven: number;
  readonly names: number;
  /** Libraries found in a jail at another path, or not at all. */
  readonly differences: readonly string[];
}

/**
 * Builds a jail of hard links for each program: its loader, run inside, must find everything at the
 * same paths as on the host.
 *
 * @param scratch a directory on the file system of the programs
 * @param every try one program in this many, chosen by position; 1 for all
 */
export async function proveInJails(
  directories: readonly string[],
  scratch: string,
  every: number,
): Promise<InJailResult> {
  const host = new OurLoader();
  const differences: string[] = [];
  let proven = 0;
  let names = 0;
  let count = 0;
  for (const program of elfFiles(directories)) {
    const { elf } = host.parse(program);
    if (elf.interpreter === undefined || count++ % every !== 0) continue;
    const jail = mkdtempSync(path.join(scratch, 'jail-'));
    try {
      const options = { link: true, noSync: true };
      await build({ programs: [program], terminfo: 'none' }, `${jail}/root`, options);
      const here = list(program, elf.interpreter);
      const there = list(program, elf.interpreter, `${jail}/root`);
      proven++;
      names += there.found.length;
      if (there.error !== undefined || there.missing.length > 0 || text(here) !== text(there)) {
        differences.push(`${program}\n  host: ${text(here)}\n  jail: ${text(there)}`);
      }
    } catch (error) {
      // No jail helps a program that misses libraries on the host.
      const isMissing = error instanceof JailbuildError && error.code === 'LIBRARY_NOT_FOUND';
      if (!isMissing || list(program, elf.interpreter).error === undefined) throw error;
    } finally {
      rmSync(jail, { recursive: true, force: true });
    }
  }
  return { proven, names, differences };
}

function text({ found, missing, error }: LoaderList): string {
  return JSON.stringify([found, missing, error]);
}

/** Returns what the loader itself finds for a program, on the host or with a jail as its root. */
function list(program: string, loader: string, jail?: string): LoaderList {
  const command = jail === undefined ? [] : ['chroot', jail];
  const [file = '', ...args] = [...command, loader, '--list', program];
  const { stdout, stderr } = spawnSync(file, args, {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: process.env.PATH },
  });
  return parseList(stdout, stderr, loader);
}
