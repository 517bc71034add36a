import { spawnSync } from 'node:child_process';
import { errnoOf, JailbuildError } from '../../src/errors.js';
import type { Cpu } from '../../src/loader/cpu.js';
import {
  askLoader,
  cpuOfLoader,
  elfFiles,
  inParallel,
  type LoaderList,
  OurLoader,
} from '../support/loader-oracle.js';

export interface Comparison {
  readonly file: string;
  readonly ours: LoaderList;
  readonly theirs: LoaderList;
}

export interface DifferentialResult {
  readonly compared: number;
  /** By loader. */
  readonly byLoader: ReadonlyMap<string, number>;
  /** Edges: names with the paths they lead to. */
  readonly names: number;
  /** ELF files that no loader on this machine loads, by reason. */
  readonly passedOver: ReadonlyMap<string, number>;
  readonly differences: readonly Comparison[];
}

/**
 * Compares jailbuild's closure with the list of the file's own interpreter, for every dynamic
 * program and library below directories.
 *
 * @param every compare one file in this many, chosen by position; 1 for all
 */
export async function compareWithLoaders(
  directories: readonly string[],
  every = 1,
): Promise<DifferentialResult> {
  const ours = new OurLoader();
  const passedOver = new Map<string, number>();
  const pass = (reason: string) => passedOver.set(reason, (passedOver.get(reason) ?? 0) + 1);
  const jobs: { file: string; loader: string }[] = [];
  let count = 0;
  for (const file of elfFiles(directories)) {
    const loader = loadable(ours, file, pass);
    if (loader !== undefined && count++ % every === 0) jobs.push({ file, loader });
  }

  const cpus = new Map<string, Cpu>();
  const cpuOf = (loader: string): Cpu => {
    const known = cpus.get(loader) ?? cpuOfLoader([loader]);
    cpus.set(loader, known);
    return known;
  };
  const byLoader = new Map<string, number>();
  let names = 0;
  const comparisons = await inParallel(jobs, 3, async ({ file, loader }) => {
    byLoader.set(loader, (byLoader.get(loader) ?? 0) + 1);
    const isMusl = loader.includes('ld-musl');
    // Unlike --list, this continues after a missing library.
    const env = isMusl ? {} : { LD_TRACE_LOADED_OBJECTS: '1' };
    const command = isMusl ? ([loader, '--list', file] as const) : ([loader, file] as const);
    const theirs = await askLoader(command, loader, env);
    const mine = isMusl ? ours.list(file) : ours.list(file, cpuOf);
    names += theirs.found.length;
    return { file, ours: mine, theirs };
  });
  return {
    compared: jobs.length,
    byLoader,
    names,
    passedOver,
    differences: comparisons.filter(({ ours: a, theirs: b }) => !same(a, b)),
  };
}

/** Requires equal lists in equal order; if the loader stops, jailbuild must stop too. */
export function same(ours: LoaderList, theirs: LoaderList): boolean {
  if (theirs.error !== undefined) return ours.error !== undefined;
  return (
    ours.error === undefined &&
    ours.found.join('\n') === theirs.found.join('\n') &&
    ours.missing.join('\n') === theirs.missing.join('\n')
  );
}

/** Returns the loader of a dynamic file, if this machine has it. */
function loadable(
  ours: OurLoader,
  file: string,
  pass: (reason: string) => void,
): string | undefined {
  let elf: ReturnType<OurLoader['parse']>['elf'];
  try {
    elf = ours.parse(file).elf;
  } catch (error) {
    if (!(error instanceof JailbuildError) && errnoOf(error) === undefined) throw error;
    pass(error instanceof Error ? error.message.replace(file, '') : 'unreadable');
    return undefined;
  }
  const { type, machine } = elf.headers;
  if (type !== 'dyn' && type !== 'exec') pass('object file or core');
  else if (elf.dynamic === undefined) pass('static');
  else if (elf.interpreter === undefined && elf.dynamic.needed.length === 0) {
    pass('needs nothing');
  } else {
    const loader = ours.loaderOf(elf);
    if (loader !== undefined && runs(loader)) return loader;
    pass(`machine ${machine}: no loader, or the kernel does not run it`);
  }
  return undefined;
}

const RUNS = new Map<string, boolean>();

/**
 * The kernel may lack x32, and foreign loaders need an emulator. musl's loader has no --version.
 */
function runs(loader: string): boolean {
  let known = RUNS.get(loader);
  if (known === undefined) {
    const { status, stderr } = spawnSync(loader, ['--version'], { encoding: 'utf8' });
    known = status === 0 || stderr?.startsWith('musl libc') === true;
    RUNS.set(loader, known);
  }
  return known;
}
