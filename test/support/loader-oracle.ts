import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import path from 'node:path';
import type { ElfFile } from '../../src/elf/types.js';
import { isTrace, Sysroot, type Trace } from '../../src/fs/sysroot.js';
import { baselineCpu, type Cpu } from '../../src/loader/cpu.js';
import { loaderFlavor } from '../../src/loader/flavor.js';
import { type LoadedObject, loadedObject } from '../../src/loader/loaded-object.js';
import { LoaderFiles } from '../../src/loader/loader-files.js';
import { ObjectTable } from '../../src/loader/objects.js';
import { mapOn } from '../../src/loader/process.js';
import { LibrarySearch } from '../../src/loader/search.js';
import type { MissingLibrary } from '../../src/manifest/manifest.js';
import { exec } from './cli.js';

/** What a loader lists for a file: requested names and opened paths, in order. */
export interface LoaderList {
  readonly found: readonly string[];
  readonly missing: readonly string[];
  /** Only in jailbuild's list: the rules by which the objects were found. */
  readonly rules?: readonly string[];
  /** Why the loader stopped, if it did. */
  readonly error?: string;
  /** The signal that ended the loader. */
  readonly crashed?: string;
}

/** Returns the loader for libraries of an ABI, for files that name none. */
const LOADERS: Readonly<Record<string, string>> = {
  '62/64': '/lib64/ld-linux-x86-64.so.2',
  '3/32': '/lib/ld-linux.so.2',
  '62/32': '/libx32/ld-linux-x32.so.2',
};

/** Returns jailbuild's list for a file, with a cache of parsed objects shared by all files. */
export class OurLoader {
  readonly sysroot: Sysroot;
  readonly #objects: ObjectTable;
  readonly #files: LoaderFiles;
  readonly #libraryPath: readonly string[];
  readonly #searches = new Map<string, LibrarySearch>();

  constructor(root = '/', libraryPath: readonly string[] = []) {
    this.sysroot = new Sysroot(root);
    this.#objects = new ObjectTable(this.sysroot);
    this.#files = new LoaderFiles(this.#objects);
    this.#libraryPath = libraryPath;
  }

  parse(file: string): { readonly trace: Trace; readonly elf: ElfFile } {
    const trace = this.sysroot.trace(file);
    if (!isTrace(trace)) throw new Error(`${file}: ${trace.errno}`);
    return { trace, elf: this.#objects.parse(trace) };
  }

  /** Returns the path of the loader that a file names, or that its ABI uses. */
  loaderOf({ interpreter, headers }: ElfFile): string | undefined {
    return interpreter ?? LOADERS[`${headers.machine}/${headers.class}`];
  }

  /** @param cpuOf returns the processor for a loader's path; default: the baseline */
  list(file: string, cpuOf?: (loader: string) => Cpu): LoaderList {
    const { trace, elf } = this.parse(file);
    const loader = this.loaderOf(elf);
    if (loader === undefined) throw new Error(`${file}: no loader for it`);
    const program = loadedObject(file, trace, elf, undefined, 'path');
    try {
      const interpreter = this.#interpreter(loader);
      const search = this.#searchFor(loader, interpreter, elf);
      const cpu = cpuOf?.(loader) ?? baselineCpu(elf.headers);
      const { objects, missing } = mapOn(cpu, program, interpreter, search);
      const expanded = ({ name, neededBy }: MissingLibrary) => {
        const by = objects.find((object) => object.trace.path === neededBy);
        return (by && search.nameFor(name, by)) ?? name;
      };
      const libraries = objects.filter((object) => object !== program && object !== interpreter);
      return {
        found: libraries.map((object) => `${this.#firstName(object, search)} => ${object.name}`),
        rules: libraries.map(({ rule }) => rule),
        missing: [...new Set(missing.map(expanded))].sort(),
      };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { found: [], missing: [], error: error.message };
    }
  }

  #firstName(object: LoadedObject, search: LibrarySearch): string {
    const [name = '?'] = object.requestedAs;
    const { loadedBy } = object;
    return (loadedBy === undefined ? name : search.nameFor(name, loadedBy)) ?? name;
  }

  #interpreter(loader: string): LoadedObject {
    const { trace, elf } = this.parse(loader);
    return loadedObject(loader, trace, elf, undefined, 'interpreter');
  }

  #searchFor(loader: string, interpreter: LoadedObject, { headers }: ElfFile): LibrarySearch {
    const key = `${loader}/${headers.machine}/${headers.class}/${headers.byteOrder}/${headers.flags}`;
    let search = this.#searches.get(key);
    if (search === undefined) {
      const flavor = loaderFlavor(this.sysroot, loader, interpreter.trace, headers);
      search = new LibrarySearch(this.#files, flavor, headers, this.#libraryPath);
      this.#searches.set(key, search);
    }
    return search;
  }
}

/**
 * Returns the processor that a glibc loader detects, according to its `--help`.
 *
 * @param command the loader, after an emulator if it needs one
 */
export function cpuOfLoader(command: readonly [file: string, ...args: string[]]): Cpu {
  const [file, ...args] = command;
  const { stdout } = exec(file, [...args, '--help']);
  const named = (title: RegExp) => {
    const section = stdout.split(title)[1]?.split('\n\n')[0] ?? '';
    return [...section.matchAll(/^ {2}(\S+) \((.*?)\)/gm)].map(([, name = '', facts = '']) => ({
      name,
      facts,
    }));
  };
  const legacy = named(/^Legacy HWCAP subdirectories.*\n/m);
  const searched = legacy.filter(({ facts }) => facts.includes('searched'));
  const platform = searched.find(({ facts }) => facts.includes('AT_PLATFORM'))?.name;
  const features = searched.filter(
    ({ name, facts }) => !facts.includes('AT_PLATFORM') && name !== 'tls',
  );
  return {
    levels: named(/^Subdirectories of glibc-hwcaps.*\n/m)
      .filter(({ facts }) => facts.includes('searched'))
      .map(({ name }) => name),
    platform,
    legacy: [
      'tls',
      ...(platform === undefined ? [] : [platform]),
      ...features.map(({ name }) => name),
    ],
  };
}

/** Runs the loader itself, which maps the file and does not start it. */
export function askLoader(
  command: readonly [file: string, ...args: string[]],
  loader: string,
  env: NodeJS.ProcessEnv = {},
): Promise<LoaderList> {
  return new Promise((resolve, reject) => {
    const [file, ...args] = command;
    // Objects that filter each other can keep a loader busy forever.
    const child = spawn(file, args, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      timeout: 120_000,
      killSignal: 'SIGKILL',
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (_code, signal) => {
      if (signal !== null) return resolve({ found: [], missing: [], crashed: signal });
      resolve(parseList(Buffer.concat(out).toString(), Buffer.concat(err).toString(), loader));
    });
  });
}

/** Parses the output of `ld.so --list`, or of musl's loader called as ldd. */
export function parseList(stdout: string, stderr: string, loader: string): LoaderList {
  const found: string[] = [];
  const missing = new Set<string>();
  for (const line of stdout.split('\n')) {
    const [, name = '', to = ''] = /^\t(\S+)(?: => (.+?))?(?: \(0x[0-9a-f]+\))?$/.exec(line) ?? [];
    if (name === '' || name === 'statically' || name.startsWith('linux-')) continue;
    if (to === 'not found') missing.add(name);
    else if (name !== loader && to !== loader) found.push(`${name} => ${to === '' ? name : to}`);
  }
  for (const [, name = ''] of stderr.matchAll(/Error loading shared library (\S+?): /g)) {
    missing.add(name);
  }
  const error = stderr
    // What is not found, for whatever reason, is missing; the rest stops the loader.
    .replace(/^.*Error loading shared library \S+: (?!Exec format error).*\n/gm, '')
    .replace(/^.*audit interface: .*; ignored\.\n/gm, '')
    .trim();
  return {
    found,
    missing: [...missing].sort(),
    ...(error === '' ? {} : { error }),
  };
}

/** Returns every regular ELF file below directories. */
export function* elfFiles(directories: readonly string[]): Generator<string> {
  const magic = Buffer.alloc(4);
  for (const directory of directories) {
    let entries: ReturnType<typeof readEntries>;
    try {
      entries = readEntries(directory);
    } catch {
      continue;
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) yield* elfFiles([file]);
      if (!entry.isFile()) continue;
      const fd = openSync(file, 'r');
      try {
        if (readSync(fd, magic, 0, 4, 0) === 4 && magic.toString('latin1') === '\x7fELF')
          yield file;
      } finally {
        closeSync(fd);
      }
    }
  }
}

function readEntries(directory: string) {
  return readdirSync(directory, { withFileTypes: true });
}

/** Runs a few tasks at a time, and returns their results in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await task(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
