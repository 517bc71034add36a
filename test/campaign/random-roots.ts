import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { type Cpu, cpuOfLevel } from '../../src/loader/cpu.js';
import { exec } from '../support/cli.js';
import {
  askLoader,
  cpuOfLoader,
  inParallel,
  type LoaderList,
  OurLoader,
} from '../support/loader-oracle.js';
import { type DynamicEntry, makeElf, Writer } from '../support/make-elf.js';
import { type Comparison, same } from './differential.js';
import { Random } from './random.js';

const DT = {
  NEEDED: 1,
  HASH: 4,
  SYMTAB: 6,
  SONAME: 14,
  RPATH: 15,
  RUNPATH: 29,
  FLAGS_1: 0x6ffffffb,
  AUXILIARY: 0x7ffffffd,
  FILTER: 0x7fffffff,
} as const;
const DF_1_NODEFLIB = 0x800;

const GLIBC = '/lib64/ld-linux-x86-64.so.2';
const MUSL = '/lib/ld-musl-x86_64.so.1';

/** Directories for libraries: on search paths, in ld.so.conf, and among the default directories. */
const DIRECTORIES = ['/a', '/b', '/c/d', '/opt/lib', '/lib', '/usr/lib'];
const NAMES = Array.from({ length: 8 }, (_, n) => `lib${n}.so`);
/** Tracing lists missing optional libraries as if they were required. */
const AUXILIARIES = ['lib2.so', 'lib5.so', 'libnowhere-aux.so'];
const LEVELS = ['x86-64-v2', 'x86-64-v3'];

/** A root generated from the seed, and how to run its program. */
interface RandomCase {
  readonly root: string;
  readonly program: string;
  readonly loader: string;
  readonly libraryPath: readonly string[];
  /** Feature levels of the processor; undefined for this machine's. */
  readonly level: string | undefined;
}

export interface RandomResult {
  readonly cases: number;
  /** Edges: names with the paths they lead to. */
  readonly names: number;
  readonly missing: number;
  /** Number of cases in which the loader stops at an unusable file. */
  readonly stops: number;
  /** Number of cases in which it crashes, which prove nothing: objects that filter each other. */
  readonly crashes: number;
  readonly differences: readonly (Comparison & { readonly case: RandomCase })[];
}

/**
 * Makes roots with random libraries, search paths, links, levels and caches, and compares
 * jailbuild's list of a program with that of its loader in each.
 *
 * @param scratch a directory for the roots
 * @param first number of the first case: the same seed and number make the same root
 */
export async function compareInRandomRoots(
  cases: number,
  seed: number,
  scratch: string,
  first = 0,
): Promise<RandomResult> {
  const cpu = cpuOfLoader([GLIBC]);
  const result = { cases, names: 0, missing: 0, stops: 0, crashes: 0 };
  const differences: RandomResult['differences'][number][] = [];
  await inParallel(
    Array.from({ length: cases }, (_, index) => first + index),
    2,
    async (index) => {
      const root = path.join(scratch, `root-${index}`);
      const one = makeCase(new Random(seed * 1_000_003 + index), root);
      const { program, libraryPath } = one;
      const ours = new OurLoader(root, libraryPath).list(program, () => cpuFor(one, cpu));
      const theirs = await askLoader(command(one, program), one.loader, environment(one));
      result.names += theirs.found.length;
      result.missing += theirs.missing.length;
      if (theirs.error !== undefined) result.stops++;
      if (theirs.crashed !== undefined) result.crashes++;
      if (theirs.crashed !== undefined || same(normal(ours), normal(theirs)))
        rmSync(root, { recursive: true });
      else differences.push({ file: `${root}${program}`, ours, theirs, case: one });
    },
  );
  return { ...result, differences };
}

/**
 * Converts paths that the loader prints relative to the working directory, which is the root. musl
 * keeps slashes at the end of a directory.
 */
function normal(list: LoaderList): LoaderList {
  const found = list.found.map((line) => line.replace(/ => (?!\/)/, ' => /').replace(/\/+/g, '/'));
  return { ...list, found, missing: list.missing.filter((name) => !AUXILIARIES.includes(name)) };
}

function cpuFor({ level }: RandomCase, cpu: Cpu): Cpu {
  if (level === undefined) return cpu;
  const abi = new OurLoader().parse(GLIBC).elf.headers;
  return { ...cpu, levels: level === 'none' ? [] : cpuOfLevel(abi, level).levels };
}

function command(one: RandomCase, program: string): readonly [string, ...string[]] {
  const chroot = ['busybox', 'chroot', one.root] as const;
  if (one.loader === MUSL) return [...chroot, MUSL, '--list', program];
  if (one.level === undefined) return [...chroot, program];
  const levels = one.level === LEVELS[1] ? [...LEVELS].reverse().join(':') : one.level;
  return [...chroot, one.loader, '--glibc-hwcaps-mask', levels, program];
}

function environment({ loader, libraryPath, program }: RandomCase): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    ...(libraryPath.length === 0 ? {} : { LD_LIBRARY_PATH: libraryPath.join(':') }),
    // Without /proc, this is the program's origin.
    ...(loader === GLIBC
      ? { LD_TRACE_LOADED_OBJECTS: '1', LD_ORIGIN_PATH: path.dirname(program) }
      : {}),
  };
}

function makeCase(random: Random, root: string): RandomCase {
  const isMusl = existsSync(MUSL) && random.below(4) === 0;
  const loader = isMusl ? MUSL : GLIBC;
  const chance = (percent: number) => random.below(100) < percent;
  for (const directory of [...DIRECTORIES, '/etc', path.dirname(loader)]) {
    mkdirSync(root + directory, { recursive: true });
  }
  copyFileSync(loader, root + loader);
  if (chance(30)) symlinkSync(random.of(['a', '/b', 'nowhere', '.']), `${root}/link`);

  const files: string[] = [];
  for (const directory of DIRECTORIES) {
    for (const name of NAMES) {
      if (!chance(40)) continue;
      files.push(`${directory}/${name}`);
      if (chance(20)) files.push(`${directory}/glibc-hwcaps/${random.of(LEVELS)}/${name}`);
      if (chance(5)) files.push(`${directory}/tls/${name}`);
    }
  }
  for (const [index, file] of files.entries()) {
    addLibrary(random, root, file, files[index - 1], isMusl);
  }
  // ldconfig must not meet a file at which it would stop.
  if (!isMusl && chance(60)) {
    writeFileSync(`${root}/etc/ld.so.conf`, chance(70) ? '/opt/lib\n' : '/opt/lib\n/c/d\n');
    exec('/sbin/ldconfig', ['-r', root, ...(chance(50) ? ['-X'] : [])]);
    // Later changes make the cache stale.
    for (const file of files) {
      if (chance(4)) rmSync(root + file, { force: true });
    }
  }
  if (isMusl && chance(30)) {
    writeFileSync(`${root}/etc/ld-musl-x86_64.path`, random.of(['/a:/lib', '/b\n/opt/lib\n', '']));
  }
  const program = random.of(['/bin/program', '/a/program', '/c/d/program']);
  mkdirSync(path.dirname(root + program), { recursive: true });
  const dynamic = dynamicOf(random, [DT.NEEDED, random.of(NAMES)]);
  // Programs filter nothing: linkers refuse it, and the loader's list would begin after them.
  const isFilter = ([tag]: DynamicEntry) => tag === DT.FILTER || tag === DT.AUXILIARY;
  write(
    root + program,
    dynamic.filter((entry) => !isFilter(entry)),
    loader,
  );
  const libraryPath = chance(25) ? searchPath(random) : [];
  const level = isMusl || chance(50) ? undefined : random.of(['none', ...LEVELS]);
  return { root, program, loader, libraryPath, level };
}

/** A library, or another file with its name. */
function addLibrary(
  random: Random,
  root: string,
  file: string,
  before: string | undefined,
  isMusl: boolean,
): void {
  const at = root + file;
  mkdirSync(path.dirname(at), { recursive: true });
  const kind = random.below(100);
  if (kind < 8 && before !== undefined) {
    symlinkSync(before, at);
  } else if (kind < 12 && before !== undefined && existsSync(root + before)) {
    linkSync(root + before, at);
  } else if (kind < 14) {
    symlinkSync(random.of(['nowhere', path.basename(file)]), at);
  } else {
    const name = path.basename(file);
    const soname = random.below(10);
    const own: DynamicEntry[] =
      soname < 7 ? [[DT.SONAME, name]] : soname < 8 ? [[DT.SONAME, random.of(NAMES)]] : [];
    write(at, [...own, ...dynamicOf(random)], undefined);
    // musl accepts files for another machine, and may crash.
    if (kind < 20 && !isMusl) spoil(random, at);
  }
}

function dynamicOf(random: Random, ...first: readonly DynamicEntry[]): DynamicEntry[] {
  const chance = (percent: number) => random.below(100) < percent;
  const entries: DynamicEntry[] = [...first];
  for (let count = random.below(4); count > 0; count--) entries.push([DT.NEEDED, need(random)]);
  if (chance(6)) entries.push([DT.AUXILIARY, random.of(AUXILIARIES)]);
  if (chance(4)) entries.push([DT.FILTER, random.of(NAMES)]);
  if (chance(30)) entries.push([DT.RPATH, searchPath(random).join(':')]);
  if (chance(30)) entries.push([DT.RUNPATH, searchPath(random).join(':')]);
  if (chance(8)) entries.push([DT.FLAGS_1, DF_1_NODEFLIB]);
  return entries;
}

function need(random: Random): string {
  const kind = random.below(40);
  if (kind === 0) return 'libnowhere.so';
  if (kind === 1) return random.of(['/a/lib1.so', '/lib/lib2.so', '/nowhere/lib3.so']);
  if (kind === 2) return random.of(['$ORIGIN/lib4.so', `\${ORIGIN}/../b/lib5.so`]);
  return random.of(NAMES);
}

function searchPath(random: Random): string[] {
  const items = [
    ...DIRECTORIES,
    ...['$ORIGIN', `\${ORIGIN}/../a`, '/link', '/nowhere', '/b//', '/a/', '/$LIB', '/a/lib1.so'],
    ...['$ORIGIN/../c/d', '/usr/../b', '/x/$PLATFORM', '/$UNKNOWN'],
  ];
  return Array.from({ length: 1 + random.below(3) }, () => random.of(items));
}

/** Changes a file's class or machine, or makes the loader stop at it. */
function spoil(random: Random, file: string): void {
  const [at, value] = random.of([
    [4, 1],
    [18, 183],
    [18, 183],
    [4, 1],
    [7, 9],
    [16, 2],
  ] as const);
  const bytes = makeElf({ dynamic: [] }).bytes;
  bytes[at] = value;
  writeFileSync(file, bytes);
}

/** With the tables that loaders require, empty. */
function write(
  file: string,
  dynamic: readonly DynamicEntry[],
  interpreter: string | undefined,
): void {
  const writer = () => new Writer(64, 'little');
  const { bytes } = makeElf({
    dynamic,
    // A program at a fixed address: a position-independent one would need to locate its headers.
    ...(interpreter === undefined ? {} : { interpreter, type: 2 }),
    tables: [
      { tag: DT.SYMTAB, bytes: Buffer.alloc(24) },
      { tag: DT.HASH, bytes: writer().word(1).word(1).word(0).word(0).bytes() },
    ],
  });
  writeFileSync(file, bytes);
  chmodSync(file, 0o755);
}
