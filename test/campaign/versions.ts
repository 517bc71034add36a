import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { VersionNeed } from '../../src/elf/types.js';
import { describeMissing } from '../../src/manifest/missing.js';
import { resolve } from '../../src/resolve/resolve.js';
import { askLoader, inParallel } from '../support/loader-oracle.js';
import type { DynamicEntry } from '../support/make-elf.js';
import { versionedElf } from '../support/version-elf.js';
import { Random } from './random.js';

const DT = { NEEDED: 1, SONAME: 14 } as const;
const LOADER = '/lib64/ld-linux-x86-64.so.2';
const NAMES = ['liba.so', 'libb.so', 'libc.so', 'libd.so'];
const VERSIONS = ['V_1', 'V_2', 'V_3', 'GLIBC_2.99'];

/**
 * Problems with versions in a root, reported by the loader or by jailbuild: one line each, sorted.
 */
type Problems = readonly string[];

export interface VersionsResult {
  readonly cases: number;
  /** Number of loader problems of each kind. */
  readonly kinds: ReadonlyMap<string, number>;
  readonly differences: readonly {
    readonly root: string;
    readonly ours: Problems;
    readonly theirs: Problems;
  }[];
}

/**
 * Makes roots with libraries of random symbol versions, and compares what the program's loader
 * reports with jailbuild's answer.
 *
 * @param scratch a directory for the roots
 */
export async function compareVersions(
  cases: number,
  seed: number,
  scratch: string,
): Promise<VersionsResult> {
  const kinds = new Map<string, number>();
  const differences: VersionsResult['differences'][number][] = [];
  await inParallel(
    Array.from({ length: cases }, (_, index) => index),
    2,
    async (index) => {
      const root = path.join(scratch, `root-${index}`);
      makeRoot(new Random(seed * 1_000_003 + index), root);
      const theirs = await askedOf(root);
      const ours = resolvedIn(root);
      for (const line of theirs) {
        const kind = line.split(':')[0] ?? '';
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }
      const isStopped = theirs.some((line) => line.startsWith('stops'));
      const isSame = isStopped
        ? ours.some((line) => line.startsWith('stops'))
        : ours.join('\n') === theirs.join('\n');
      if (isSame) rmSync(root, { recursive: true });
      else differences.push({ root, ours, theirs });
    },
  );
  return { cases, kinds, differences };
}

function makeRoot(random: Random, root: string): void {
  const chance = (percent: number) => random.below(100) < percent;
  for (const directory of ['/lib', '/bin', path.dirname(LOADER)]) {
    mkdirSync(root + directory, { recursive: true });
  }
  copyFileSync(LOADER, root + LOADER);
  const objectAt = (own: string | undefined): Buffer => {
    const needed = NAMES.filter((name) => name !== own && chance(40));
    const dynamic: DynamicEntry[] = needed.map((name) => [DT.NEEDED, name]);
    if (own !== undefined && chance(80)) dynamic.push([DT.SONAME, own]);
    const needs: VersionNeed[] = needed
      .filter(() => chance(70))
      .flatMap((file) =>
        VERSIONS.filter(() => chance(25)).map((version) => ({
          file,
          version,
          isWeak: chance(25),
        })),
      );
    // A need of a library that the object does not name.
    if (chance(4)) needs.push({ file: random.of(NAMES), version: 'V_1', isWeak: false });
    const defines =
      own === undefined || chance(20) ? undefined : [own, ...VERSIONS.filter(() => chance(70))];
    return versionedElf({
      dynamic,
      needs,
      defines,
      ...(own === undefined ? { interpreter: LOADER, type: 2 } : {}),
    });
  };
  for (const name of NAMES) {
    if (chance(90)) writeFileSync(`${root}/lib/${name}`, objectAt(name));
  }
  writeFileSync(`${root}/bin/program`, objectAt(undefined));
  chmodSync(`${root}/bin/program`, 0o755);
}

async function askedOf(root: string): Promise<Problems> {
  const { error = '', crashed } = await askLoader(
    ['busybox', 'chroot', root, '/bin/program'],
    LOADER,
    { PATH: process.env.PATH, LD_TRACE_LOADED_OBJECTS: '1', LD_WARN: '' },
  );
  const lines = new Set<string>();
  if (crashed !== undefined) lines.add(`stops: ${crashed}`);
  for (const line of error.split('\n')) {
    const by = /\(required by (\S+)\)$/.exec(line)?.[1];
    const [, file, kind] =
      /^\S+: (\S+): (no version information available|weak version|version)/.exec(line) ?? [];
    const version = /version `(\S+)' not found/.exec(line)?.[1] ?? '';
    if (line.startsWith('Inconsistency detected') || line.includes('missing soname')) {
      lines.add('stops: not loaded');
    } else if (kind === 'no version information available') lines.add(`bare: ${file} ${by}`);
    else if (kind === 'weak version') lines.add(`weak: ${file} ${version} ${by}`);
    else if (kind === 'version') lines.add(`missing: ${file} ${version} ${by}`);
    else if (line !== '') lines.add(`other: ${line}`);
  }
  return [...lines].sort();
}

function resolvedIn(root: string): Problems {
  const { missing, warnings } = resolve({
    programs: ['/bin/program'],
    sysroot: root,
    terminfo: 'none',
    ldCache: 'none',
  });
  const lines = new Set<string>();
  for (const library of missing) {
    const { version, neededBy } = library;
    if (version === undefined) continue;
    if (version.problem === 'undefined') {
      lines.add(`missing: ${version.file} ${version.name} ${neededBy}`);
    } else if (version.problem === 'unversioned') {
      // The loader warns about it, and fails when a symbol is bound.
      lines.add(`bare: ${version.file} ${neededBy}`);
    } else lines.add(`stops: ${describeMissing(library)}`);
  }
  for (const line of warnings) {
    const [, bare, by] = /^(\S+): has no version information, which (\S+) was/.exec(line) ?? [];
    if (bare !== undefined) lines.add(`bare: ${bare} ${by}`);
    const weak = /^(\S+): does not define (\S+), a weak need of (\S+)$/.exec(line);
    if (weak !== null) lines.add(`weak: ${weak[1]} ${weak[2]} ${weak[3]}`);
  }
  return [...lines].sort();
}
