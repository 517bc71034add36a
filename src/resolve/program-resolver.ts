import type { ElfFile } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { type LoaderFlavor, loaderFlavor } from '../loader/flavor.js';
import type { LoadedObject } from '../loader/loaded-object.js';
import { ObjectTable } from '../loader/objects.js';
import { loadedObject, mapProcess } from '../loader/process.js';
import { type CachePolicy, LibrarySearch, LoaderFiles } from '../loader/search.js';
import type { MissingLibrary, Reason, SearchRule } from '../plan/manifest.js';
import { isTrace, type Sysroot, type Trace } from '../sysroot/sysroot.js';
import { isEnvCommand, parseEnvArgument } from './env-command.js';
import { FileCollection } from './file-collection.js';
import { type FoundProgram, lookUpProgram } from './find-program.js';
import { isScript, isShebang, MAX_INTERPRETERS, parseShebang, SCRIPT_START } from './shebang.js';

/** A library that the loader finds by its name alone, and so may find by its cache. */
export interface CachedLookup {
  readonly name: string;
  /** In the loader's own spelling. */
  readonly path: string;
  /** The CPU feature level that it is for; undefined for the baseline. */
  readonly level: string | undefined;
  readonly trace: Trace;
}

/** How the loader in the jail will be set up. */
export interface LoaderSetting {
  readonly cache?: CachePolicy;
  /** Directories in the manner of LD_LIBRARY_PATH. */
  readonly libraryPath?: readonly string[];
}

const CACHED_RULES: ReadonlySet<SearchRule> = new Set(['ld.so.cache', 'ld.so.conf', 'default']);

/** Adds programs with their interpreters and libraries to a collection of files. */
export class ProgramResolver {
  readonly missing: MissingLibrary[] = [];
  readonly warnings: string[] = [];
  anyUsesLdSoCache = false;
  libraryPathUsed = false;
  readonly objects: ObjectTable;
  /** What a cache for the jail must list. */
  readonly cachedLookups = new Map<string, CachedLookup>();
  readonly #sysroot: Sysroot;
  readonly #files: FileCollection;
  readonly #libraryPath: readonly string[];
  readonly #loaderFiles: LoaderFiles;
  readonly #searches = new Map<string, { flavor: LoaderFlavor; search: LibrarySearch }>();
  readonly #searchPath: readonly string[];
  /** Programs seen: how many interpreters each starts until one is no script; endless while it is followed. */
  readonly #interpreters = new Map<string, number>();
  readonly #missingSeen = new Set<string>();

  /** @param searchPath where env(1) looks for the program of a script */
  constructor(
    sysroot: Sysroot,
    files: FileCollection,
    searchPath: readonly string[],
    { cache = 'read', libraryPath = [] }: LoaderSetting = {},
  ) {
    this.#sysroot = sysroot;
    this.#files = files;
    this.#searchPath = searchPath;
    this.objects = new ObjectTable(sysroot);
    this.#loaderFiles = new LoaderFiles(this.objects, cache);
    this.#libraryPath = libraryPath;
  }

  /** The directories that ldconfig(8) would go through for the programs' loaders. */
  systemDirectories(): readonly string[] {
    const defaults = [...this.#searches.values()]
      .filter(({ flavor }) => flavor.kind === 'glibc')
      .flatMap(({ flavor }) => flavor.defaultDirectories);
    return [...new Set([...this.#loaderFiles.confDirectories(), ...defaults])];
  }

  /**
   * Adds a program with all that Linux and the loader open to start it: for a script, its
   * interpreter.
   *
   * @throws JailbuildError SCRIPT, NOT_ELF, NOT_READABLE, MALFORMED_ELF, MALFORMED_CACHE,
   *   INTERPRETER_NOT_FOUND
   */
  add({ as, trace }: FoundProgram): void {
    this.#addProgram(trace, { kind: 'requested', as });
  }

  /** @returns the number of interpreters that Linux starts until one is no script */
  #addProgram(trace: Trace, reason: Reason): number {
    this.#files.add(trace, reason);
    const known = this.#interpreters.get(trace.path);
    if (known !== undefined) return known;
    this.#interpreters.set(trace.path, Number.POSITIVE_INFINITY);
    const elf = this.#parse(trace);
    let count = 0;
    if (elf === undefined) count = this.#addScript(trace);
    else this.#addProcess(trace, elf);
    this.#interpreters.set(trace.path, count);
    return count;
  }

  /** @returns undefined for a file that is not ELF */
  #parse(trace: Trace): ElfFile | undefined {
    try {
      return this.objects.parse(trace);
    } catch (error) {
      if (error instanceof JailbuildError && error.code === 'NOT_ELF') return undefined;
      throw error;
    }
  }

  #addScript(trace: Trace): number {
    const start = this.#start(trace);
    if (!isScript(start)) {
      const what = start.length === 0 ? 'is an empty file' : 'is neither an ELF file nor a script';
      throw new JailbuildError('NOT_ELF', `${trace.path}: ${what}`, trace.path);
    }
    const fail = (problem: string): never => {
      throw new JailbuildError('SCRIPT', `${trace.path}: ${problem}`, trace.path);
    };
    const shebang = parseShebang(start);
    if (!isShebang(shebang)) return fail(shebang.problem);

    const { interpreter, argument } = shebang;
    const found = this.#scriptInterpreter(trace, interpreter);
    const count = 1 + this.#addProgram(found, { kind: 'shebang', of: trace.path });
    if (count > MAX_INTERPRETERS) {
      fail(
        `its interpreters are scripts too, more than the ${MAX_INTERPRETERS} that Linux follows`,
      );
    }
    if (interpreter.slice(interpreter.lastIndexOf('/') + 1) === 'env') {
      this.#addEnvProgram(trace, argument, fail);
    }
    return count;
  }

  #scriptInterpreter(script: Trace, interpreter: string): Trace {
    // A relative path is meant from the process's working directory: in a jail, its root.
    const found = this.#sysroot.trace(
      interpreter.startsWith('/') ? interpreter : `/${interpreter}`,
    );
    if (!isTrace(found) || found.stat.type !== 'file') {
      throw interpreterNotFound(script, `its interpreter ${interpreter} does not exist`);
    }
    if ((found.stat.mode & 0o111) === 0) {
      throw interpreterNotFound(script, `its interpreter ${interpreter} is not executable`);
    }
    return found;
  }

  #addEnvProgram(script: Trace, argument: string | undefined, fail: (problem: string) => never) {
    const command = parseEnvArgument(argument);
    if (!isEnvCommand(command)) return fail(command.problem);
    const { program, searchPath = this.#searchPath } = command;
    const found = lookUpProgram(this.#sysroot, program, searchPath);
    if (found === undefined) {
      const where = program.includes('/')
        ? 'does not exist'
        : `is not on PATH (${searchPath.join(':')})`;
      throw interpreterNotFound(script, `its interpreter ${program} ${where}`);
    }
    const count = this.#addProgram(found, { kind: 'env', of: script.path, name: program });
    if (count === Number.POSITIVE_INFINITY) fail('its env starts the script again, without end');
  }

  #start(trace: Trace): Buffer {
    const reader = this.#sysroot.open(trace);
    try {
      return reader.read(0, SCRIPT_START);
    } finally {
      reader.close();
    }
  }

  #addProcess(trace: Trace, elf: ElfFile): void {
    const program = loadedObject(trace.path, trace, elf, undefined, 'path');
    const interpreter = this.#interpreter(program);
    if (elf.dynamic === undefined) return;
    // A static-pie program has a dynamic section that the program itself works off.
    if (interpreter === undefined && elf.dynamic.needed.length === 0) return;

    const { flavor, search } = this.#searchFor(elf, interpreter);
    if (flavor.kind === 'glibc') this.anyUsesLdSoCache = true;
    const image = mapProcess(program, interpreter, search);
    for (const { by, name, rule, to, lookup, path } of image.edges) {
      this.#files.add(lookup ?? to.trace, { kind: 'needed', by: by.trace.path, name, rule });
      if (lookup === undefined || path === undefined || flavor.kind !== 'glibc') continue;
      if (CACHED_RULES.has(rule)) this.#noteCached(name, path, undefined, lookup);
      if (rule === 'library-path') this.libraryPathUsed = true;
    }
    for (const { of, variant } of image.variants) {
      this.#files.add(variant.trace, {
        kind: 'hwcaps',
        of: FileCollection.nameOf(of.trace),
        level: variant.level,
      });
      const name = variant.name.slice(variant.name.lastIndexOf('/') + 1);
      if (CACHED_RULES.has(of.rule)) {
        this.#noteCached(name, variant.name, variant.level, variant.trace);
      }
    }
    for (const library of image.missing) {
      const key = `${library.name}\0${library.neededBy}`;
      if (!this.#missingSeen.has(key)) this.missing.push(library);
      this.#missingSeen.add(key);
    }
  }

  #noteCached(name: string, path: string, level: string | undefined, trace: Trace): void {
    const key = `${path}\0${name}`;
    if (!this.cachedLookups.has(key)) this.cachedLookups.set(key, { name, path, level, trace });
  }

  #interpreter(program: LoadedObject): LoadedObject | undefined {
    const path = program.elf.interpreter;
    if (path === undefined) return undefined;
    const trace = this.#sysroot.trace(path);
    if (!isTrace(trace) || trace.stat.type !== 'file') {
      throw interpreterNotFound(program.trace, `its interpreter ${path} does not exist`);
    }
    this.#files.add(trace, { kind: 'interpreter', of: program.trace.path });
    return loadedObject(path, trace, this.objects.parse(trace), undefined, 'interpreter');
  }

  #searchFor(elf: ElfFile, interpreter: LoadedObject | undefined) {
    const { headers } = elf;
    const key = `${interpreter?.name}/${headers.class}/${headers.byteOrder}/${headers.machine}/${headers.flags}`;
    let known = this.#searches.get(key);
    if (known === undefined) {
      const flavor = loaderFlavor(this.#sysroot, interpreter?.name, interpreter?.trace, headers);
      known = {
        flavor,
        search: new LibrarySearch(this.#loaderFiles, flavor, headers, this.#libraryPath),
      };
      this.#searches.set(key, known);
    }
    return known;
  }
}

function interpreterNotFound({ path }: Trace, problem: string): JailbuildError {
  return new JailbuildError('INTERPRETER_NOT_FOUND', `${path}: ${problem}`, path);
}
