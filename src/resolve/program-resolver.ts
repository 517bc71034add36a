import type { ElfFile } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import { type LoaderFlavor, loaderFlavor } from '../loader/flavor.js';
import type { LoadedObject } from '../loader/loaded-object.js';
import { type CachePolicy, LoaderFiles } from '../loader/loader-files.js';
import { type KnownObject, ObjectTable, sameMachine } from '../loader/objects.js';
import {
  type Edge,
  loadedObject,
  mapProcess,
  type ProcessImage,
  type VariantEdge,
} from '../loader/process.js';
import { LibrarySearch } from '../loader/search.js';
import type { MissingLibrary, Reason, SearchRule } from '../manifest/manifest.js';
import { missingId } from '../manifest/missing.js';
import type { ResolveRequest } from '../manifest/request.js';
import { Hints } from './advice/hints.js';
import type { FileCollection } from './file-collection.js';
import type { FoundProgram } from './find-program.js';
import { executableAt, InterpreterError } from './interpreter.js';
import { AlikePrograms, mayBeAlike } from './process/alike-programs.js';
import { openNotedLibraries } from './process/dlopen-notes.js';
import type { KeptFiles } from './process/kept-files.js';
import { openLibcLibraries } from './process/libc-libraries.js';
import {
  isModule,
  type MappedProgram,
  type Module,
  mapModule,
  muslInterpreterOf,
} from './process/module-contexts.js';
import { NameService } from './process/name-service.js';
import { PRELOAD, preloadNames } from './process/preload.js';
import { CollectedEdges, collectEdge, RunningProcess } from './process/running-process.js';
import { GLIBC_SONAME, type ObjectFacts, RuntimeFacts } from './process/runtime-facts.js';
import { ScriptResolver, type ShellScript } from './scripts/script-resolver.js';
import { atOnce, type Steps } from './steps.js';

/** A library that opens further files itself, and a process that has loaded it. */
export interface UsedLibrary {
  readonly process: RunningProcess;
  readonly library: LoadedObject;
}

const FILE_KIND: Readonly<Record<string, string>> = {
  rel: 'an object file, which',
  core: 'a core dump, which',
};

const LIBCRYPTO_SONAME = /^libcrypto\.so\./;

/** A library that the loader finds by name alone, possibly through its cache. */
export interface CachedLookup {
  readonly name: string;
  /** In the loader's own spelling. */
  readonly path: string;
  /** The CPU feature level that it requires; undefined for the baseline. */
  readonly level: string | undefined;
  readonly trace: Trace;
}

/** What has been read of a file so far. */
export interface ReadFile {
  readonly elf: ElfFile | undefined;
  readonly facts: ObjectFacts | undefined;
  /** Whether it begins with the ELF magic number; undefined if unknown. */
  readonly isElf: boolean | undefined;
}

/** Returns what was read of the original of the file at a path, if it is known to be a copy. */
export type Originals = (path: string) => ReadFile | undefined;

export interface ProgramResolverOptions {
  /** Where env(1) looks for the program of a script. */
  readonly searchPath: readonly string[];
  /** The cache that the loader in the jail will have. */
  readonly cache: CachePolicy;
  readonly originals?: Originals | undefined;
  readonly kept?: KeptFiles | undefined;
  /** Record missing interpreters and continue, instead of failing. */
  readonly goesOn?: boolean | undefined;
}

const CACHED_RULES: ReadonlySet<SearchRule> = new Set(['ld.so.cache', 'ld.so.conf', 'default']);

/** Adds programs with their interpreters and libraries to a collection of files. */
export class ProgramResolver {
  anyUsesLdSoCache = false;
  libraryPathUsed = false;
  readonly objects: ObjectTable;
  /** The libraries that a cache for the jail must list. */
  readonly cachedLookups = new Map<string, CachedLookup>();
  readonly #sysroot: Sysroot;
  readonly #kept: KeptFiles | undefined;
  readonly #goesOn: boolean;
  readonly #files: FileCollection;
  readonly #request: ResolveRequest;
  readonly #libraries = new Map<string, UsedLibrary>();
  readonly #loaderFiles: LoaderFiles;
  readonly #searches = new Map<string, { flavor: LoaderFlavor; search: LibrarySearch }>();
  readonly #collected = { glibc: new CollectedEdges(), musl: new CollectedEdges() };
  readonly #scripts: ScriptResolver;
  /**
   * For each program seen, the number of interpreters up to one that is not a script; infinite
   * while it is being followed.
   */
  readonly #interpreters = new Map<string, number>();
  /** The paths of files that were checked for being ELF. */
  readonly #looked = new Set<string>();
  readonly #missing = new Map<string, MissingLibrary>();
  /** Whether the files being added may never be opened. */
  #isOptional = false;
  /** Programs with mapped processes, which may open modules. */
  readonly #programs: (MappedProgram & { readonly run: () => RunningProcess })[] = [];
  readonly #alike = new AlikePrograms();
  /** Modules to add once all programs are known. */
  readonly #modules: (Module & { readonly isOptional: boolean })[] = [];
  /** The missing libraries that modules need. */
  readonly #ofModules = new Set<string>();
  /** The names by which the loader knows objects of the jail. */
  readonly #sonames = new Set<string>();
  /** Objects of processes, already recorded. */
  readonly #noted = new Set<Trace>();
  readonly #preloaded = new Set<LoadedObject>();
  readonly #hints = new Hints();
  readonly #loaderWarnings = new Set<string>();
  readonly #facts: RuntimeFacts;
  readonly #nameService: NameService;

  constructor(
    sysroot: Sysroot,
    files: FileCollection,
    request: ResolveRequest,
    {
      searchPath,
      cache,
      originals = () => undefined,
      kept,
      goesOn = false,
    }: ProgramResolverOptions,
  ) {
    this.#sysroot = sysroot;
    this.#kept = kept;
    this.#goesOn = goesOn;
    this.#files = files;
    this.#request = request;
    this.#scripts = new ScriptResolver(sysroot, searchPath, {
      add: (trace, reason) => this.#addProgram(trace, reason),
      onInterpreter: (script, interpreter) => this.#hints.noteScript(script, interpreter),
    });
    this.#facts = new RuntimeFacts(({ path }) => originals(path)?.facts);
    this.#nameService = new NameService(sysroot, files);
    this.objects = new ObjectTable(
      sysroot,
      (found) => originals(found.path) ?? this.#recall(found),
      (source, elf, found, file) => {
        const isClean = this.#facts.read(source, elf, found);
        if (isClean)
          kept?.add(found, file, { elf, facts: this.#facts.ofRead(found.stat.identity) });
      },
    );
    this.#loaderFiles = new LoaderFiles(this.objects, cache);
  }

  /** Returns what was read of a file, by its identity. */
  read(identity: string): ReadFile {
    return {
      elf: this.objects.parsed(identity),
      facts: this.#facts.ofRead(identity),
      isElf: this.objects.knownElf(identity),
    };
  }

  /** Returns what an earlier run has read of a file that is unchanged since. */
  #recall(found: Trace): KnownObject | undefined {
    const file = this.#kept?.get(found);
    if (file?.facts !== undefined) this.#facts.take(found, file.facts);
    return file && { elf: file.elf, isElf: true };
  }

  /** Libraries that no rule finds, in the order in which they were needed. */
  get missing(): readonly MissingLibrary[] {
    // A module may rely on an object of the jail that its process has already opened.
    const isMet = (library: MissingLibrary) =>
      library.version === undefined &&
      this.#sonames.has(library.name) &&
      this.#ofModules.has(missingId(library));
    return [...this.#missing.values()].filter((library) => !isMet(library));
  }

  /** Returns the directories that ldconfig(8) would search for the programs' loaders. */
  systemDirectories(): readonly string[] {
    const defaults = [...this.#searches.values()]
      .filter(({ flavor }) => flavor.kind === 'glibc')
      .flatMap(({ flavor }) => flavor.defaultDirectories);
    return [...new Set([...this.#loaderFiles.confDirectories(), ...defaults])];
  }

  /** Returns warnings about files, and about programs that start but fail later. Call it last. */
  warnings(): string[] {
    return [...this.#loaderWarnings, ...this.#facts.warnings];
  }

  /**
   * Returns hints on files that programs may open at run time, one line for each kind. Call it
   * last.
   */
  hints(): string[] {
    const absent = [...this.#nameService.absent].sort();
    return [
      ...this.#hints.lines(this.#given()),
      ...this.#unusedPreload(),
      ...(absent.length === 0
        ? []
        : [`nsswitch.conf names services whose modules are not installed: ${absent.join(', ')}`]),
    ];
  }

  /**
   * Returns a hint on the libraries that programs load on the host because of /etc/ld.so.preload.
   */
  #unusedPreload(): string[] {
    if (!this.anyUsesLdSoCache || this.#files.has(PRELOAD)) return [];
    const trace = this.#sysroot.trace(PRELOAD);
    if (!isTrace(trace) || trace.stat.type !== 'file') return [];
    const names = preloadNames(this.#sysroot.readText(trace));
    return names.length === 0
      ? []
      : [`libraries that ${PRELOAD} names (${names.join(', ')}): add --include ${PRELOAD}`];
  }

  /** Shell scripts among the programs, in the order in which they were added. */
  get shellScripts(): readonly ShellScript[] {
    return this.#scripts.shellScripts;
  }

  /** The glibc libraries of the programs. */
  get glibcs(): readonly UsedLibrary[] {
    return this.#used(GLIBC_SONAME);
  }

  /** The OpenSSL libraries of the programs. */
  get libcryptos(): readonly UsedLibrary[] {
    return this.#used(LIBCRYPTO_SONAME);
  }

  /**
   * Adds a program with everything that Linux and the loader open to start it; for a script, its
   * interpreter.
   *
   * @throws JailbuildError SCRIPT, NOT_ELF, NOT_READABLE, MALFORMED_ELF, MALFORMED_CACHE,
   *   INTERPRETER_NOT_FOUND
   */
  add({ as, trace }: FoundProgram): void {
    this.#addProgram(trace, { kind: 'requested', as });
  }

  /** Records a library as missing. */
  addMissing(library: MissingLibrary): void {
    this.#miss(library);
  }

  /** As {@link add}, for a program that was not requested by the user. */
  addWithReason(trace: Trace, reason: Reason): void {
    this.#addProgram(trace, reason);
  }

  /**
   * Adds the dependencies of an ELF file that a program may open or run: a module, or a program
   * among data. Missing dependencies are not errors, since it may never be opened.
   */
  addObject(trace: Trace): void {
    if (!this.#isObject(trace)) return;
    this.#addOptional(trace, () => this.#addProcess(trace, this.objects.parse(trace)));
  }

  /**
   * As {@link addObject}, and for a script adds its interpreters.
   *
   * @param isWanted decides on each interpreter of a script
   */
  addRunnable(trace: Trace, isWanted: (interpreter: Trace) => boolean = () => true): void {
    const isRun = (trace.stat.mode & 0o111) !== 0;
    const onError = ({ code, message }: JailbuildError) => {
      if (isRun && code === 'INTERPRETER_NOT_FOUND') this.#loaderWarnings.add(message);
    };
    if (this.#isObject(trace)) {
      this.#addOptional(trace, () => this.#addProcess(trace, this.objects.parse(trace)), onError);
    } else if (isRun && this.#scripts.interpreters(trace).every(isWanted)) {
      this.#addOptional(trace, () => this.#scripts.add(trace), onError);
    }
  }

  /**
   * Adds a program that another one may start, with its dependencies. Missing dependencies are not
   * errors, since it may never be started.
   */
  addCommand(trace: Trace, reason: Reason): void {
    this.#files.add(trace, reason);
    this.#addOptional(trace, () => {
      const elf = this.#parse(trace);
      if (elf === undefined) this.#scripts.add(trace);
      else this.#addProcess(trace, elf);
    });
  }

  /**
   * Returns whether a new file is ELF by its magic number, since modules have arbitrary names and
   * modes.
   */
  #isObject(trace: Trace): boolean {
    if (this.#interpreters.has(trace.path) || this.#looked.has(trace.path)) return false;
    return trace.stat.type === 'file' && this.objects.isElf(trace);
  }

  #addOptional(
    trace: Trace,
    add: () => void,
    onError: (error: JailbuildError) => void = () => {},
  ): void {
    if (this.#interpreters.has(trace.path) || this.#looked.has(trace.path)) return;
    this.#looked.add(trace.path);
    this.#isOptional = true;
    try {
      add();
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      onError(error);
    } finally {
      this.#isOptional = false;
    }
  }

  /** @returns the number of interpreters that Linux starts up to one that is not a script */
  #addProgram(trace: Trace, reason: Reason): number {
    this.#files.add(trace, reason);
    const known = this.#interpreters.get(trace.path);
    if (known !== undefined) return known;
    this.#interpreters.set(trace.path, Number.POSITIVE_INFINITY);
    const elf = this.#parse(trace);
    let count = 0;
    if (elf === undefined) {
      count = this.#tolerant(trace, () => this.#scripts.add(trace)) ?? 0;
    } else this.#addProcess(trace, elf);
    this.#interpreters.set(trace.path, count);
    return count;
  }

  /** @returns undefined for a file that is not ELF */
  #parse(trace: Trace): ElfFile | undefined {
    try {
      const elf = this.objects.parse(trace);
      const { type } = elf.headers;
      if (type === 'exec' || type === 'dyn') return elf;
      const kind = FILE_KIND[type ?? ''] ?? 'an ELF file of an e_type that';
      throw new JailbuildError(
        'NOT_A_PROGRAM',
        `${trace.path}: is ${kind} Linux does not run: name a program or a shared library`,
        trace.path,
      );
    } catch (error) {
      if (error instanceof JailbuildError && error.code === 'NOT_ELF') return undefined;
      throw error;
    }
  }

  #addProcess(trace: Trace, elf: ElfFile): void {
    if (isModule(elf)) {
      if ((elf.dynamic?.needed.length ?? 0) === 0) this.#noteSoname(trace, elf);
      else this.#modules.push({ trace, elf, isOptional: this.#isOptional });
      return;
    }
    const program = loadedObject(trace.path, trace, elf, undefined, 'path');
    const interpreter = this.#interpreter(program);
    if (elf.dynamic === undefined) return;
    // The dynamic section of a static-pie program is processed by the program itself.
    if (interpreter === undefined && elf.dynamic.needed.length === 0) return;

    const { flavor, search } = this.#searchFor(elf, interpreter);
    if (flavor.kind === 'glibc') this.anyUsesLdSoCache = true;
    else if (interpreter !== undefined) this.#addMuslPath(flavor, interpreter);
    const isPlain = flavor.kind === 'glibc' && this.#isPlain(program);
    const edges = isPlain ? this.#alike.edgesOf(program, search) : undefined;
    let process: RunningProcess | undefined;
    const run = (): RunningProcess => {
      if (process !== undefined) return process;
      const image = mapProcess(program, interpreter, search);
      if (isPlain) this.#alike.add(program, search, image);
      process = this.#run(image, flavor, (library) => this.#missByProgram(library));
      return process;
    };
    if (edges === undefined) run();
    else this.#addAlike(program, edges);
    this.#programs.push({ program, interpreter, search, run });
  }

  /** Returns whether others may have a process like a program's own. */
  #isPlain(program: LoadedObject): boolean {
    const { libraryPath = [] } = this.#request;
    return libraryPath.length === 0 && mayBeAlike(program, this.#facts.of(program));
  }

  /** Adds a program of which all but the program itself was added with another. */
  #addAlike(program: LoadedObject, edges: readonly Edge[]): void {
    const collected = this.#collected.glibc;
    const onLookup = (edge: Edge) => this.#noteLookup(edge);
    for (const edge of edges) collectEdge(edge, { files: this.#files, collected, onLookup });
    this.#noted.add(program.trace);
    this.#noteSoname(program.trace, program.elf);
    this.#noteFacts(program);
  }

  #run(
    image: ProcessImage,
    { kind }: LoaderFlavor,
    onMissing: (library: MissingLibrary) => void,
  ): RunningProcess {
    const process = new RunningProcess(image, this.#files, this.#collected[kind], {
      onLookup: (edge) => {
        if (kind === 'glibc') this.#noteLookup(edge);
      },
      onVariant: (edge) => this.#noteVariant(edge),
      onMissing,
    });
    this.#openAtRunTime(process);
    for (const warning of image.warnings) this.#loaderWarnings.add(warning);
    return process;
  }

  /**
   * Adds the dependencies of modules, now that the programs that may open them are known, and the
   * libraries of /etc/ld.so.preload for each program. Call it after adding programs or data.
   */
  finish(): void {
    atOnce(this.finishInSteps());
  }

  /** As {@link finish}, with a step for each module. */
  *finishInSteps(): Steps<void> {
    this.#preload();
    for (let module = this.#modules.shift(); module !== undefined; module = this.#modules.shift()) {
      this.#isOptional = module.isOptional;
      try {
        this.#addModule(module);
      } catch (error) {
        if (!module.isOptional || !(error instanceof JailbuildError)) throw error;
      } finally {
        this.#isOptional = false;
      }
      yield;
    }
  }

  #addModule(module: Module): void {
    const { trace, elf } = module;
    this.#noteSoname(trace, elf);
    const { image, search } = mapModule(module, this.#programs, () => {
      const interpreter = this.#muslInterpreter(elf);
      return { interpreter, search: this.#searchFor(elf, interpreter).search };
    });
    if (search.flavor.kind === 'glibc') this.anyUsesLdSoCache = true;
    this.#run(image, search.flavor, (library) => {
      const id = missingId(library);
      if (!this.#missing.has(id)) this.#ofModules.add(id);
      this.#miss(library);
    });
  }

  #muslInterpreter(elf: ElfFile): LoadedObject | undefined {
    const name = muslInterpreterOf(elf);
    const trace = name === undefined ? undefined : this.#sysroot.trace(name);
    if (name === undefined || trace === undefined || !isTrace(trace)) return undefined;
    return loadedObject(name, trace, this.objects.parse(trace), undefined, 'interpreter');
  }

  /**
   * Loads the libraries of /etc/ld.so.preload, which glibc loads into each program before its own
   * dependencies, ignoring missing ones.
   */
  #preload(): void {
    const trace = this.#files.has(PRELOAD) ? this.#sysroot.trace(PRELOAD) : undefined;
    if (trace === undefined || !isTrace(trace) || trace.stat.type !== 'file') return;
    const names = preloadNames(this.#sysroot.readText(trace));
    for (const { program, search, run } of this.#programs) {
      if (search.flavor.kind !== 'glibc' || this.#preloaded.has(program)) continue;
      this.#preloaded.add(program);
      const process = run();
      for (const name of names) {
        const isThere = process.opens(name, program, ({ rule }) => ({
          kind: 'needed',
          by: trace.path,
          name,
          rule,
        }));
        if (!isThere) {
          this.#loaderWarnings.add(`${trace.path}: names ${name}, which was not found`);
        }
      }
      this.#openAtRunTime(process);
    }
  }

  #noteSoname({ path }: Trace, { dynamic }: ElfFile): void {
    this.#sonames.add(dynamic?.soname ?? path.slice(path.lastIndexOf('/') + 1));
  }

  /** Adds musl's path file, without which the loader would search its default directories. */
  #addMuslPath({ muslPathFile }: LoaderFlavor, { trace: { path } }: LoadedObject): void {
    const found = this.#sysroot.trace(muslPathFile ?? '');
    if (!isTrace(found) || found.stat.type !== 'file') return;
    this.#files.add(found, { kind: 'ld-musl-path', of: path });
  }

  /** Opens what the objects of a process open at run time, as far as rules cover it. */
  #openAtRunTime(process: RunningProcess): void {
    const { dlopen = 'required', nss = 'auto' } = this.#request;
    const libc = process.find(GLIBC_SONAME);
    for (const object of process.loaded) {
      this.#noteLibrary(process, object);
      const { imports, dlopens } = this.#noteFacts(object);
      for (const library of openNotedLibraries(process, object, dlopens, dlopen)) {
        this.#miss(library);
      }
      if (libc === undefined || object === libc) continue;
      for (const warning of openLibcLibraries(process, libc, object, imports, dlopen)) {
        this.#loaderWarnings.add(warning);
      }
      if (nss === 'auto') {
        this.#nameService.open(process, libc, object, imports);
      }
    }
  }

  #noteFacts(object: LoadedObject): ObjectFacts {
    const facts = this.#facts.of(object);
    this.#hints.note(object, facts.imports, facts.dlopens.length > 0);
    return facts;
  }

  #given() {
    return { request: this.#request, has: (path: string) => this.#files.has(path) };
  }

  #noteLibrary(process: RunningProcess, library: LoadedObject): void {
    if (this.#noted.has(library.trace)) return;
    this.#noted.add(library.trace);
    this.#noteSoname(library.trace, library.elf);
    const soname = library.elf.dynamic?.soname;
    if (soname === undefined || this.#libraries.has(library.trace.path)) return;
    if (GLIBC_SONAME.test(soname) || LIBCRYPTO_SONAME.test(soname)) {
      this.#libraries.set(library.trace.path, { process, library });
    }
  }

  #used(soname: RegExp): UsedLibrary[] {
    return [...this.#libraries.values()].filter(({ library }) =>
      soname.test(library.elf.dynamic?.soname ?? ''),
    );
  }

  #missByProgram(library: MissingLibrary): void {
    this.#ofModules.delete(missingId(library));
    this.#miss(library);
  }

  #miss(library: MissingLibrary): void {
    const key = missingId(library);
    const known = this.#missing.get(key);
    if (known !== undefined && !known.optional) return;
    this.#missing.set(key, this.#isOptional ? { ...library, optional: true } : library);
  }

  #noteLookup({ name, rule, to, lookup, path }: Edge): void {
    if (lookup === undefined || path === undefined) return;
    if (CACHED_RULES.has(rule)) this.#noteCached(name, path, to.level, lookup);
    if (rule === 'library-path') this.libraryPathUsed = true;
  }

  #noteVariant({ of, name, variant }: VariantEdge): void {
    if (CACHED_RULES.has(of.rule)) {
      this.#noteCached(name, variant.name, variant.level, variant.trace);
    }
  }

  #noteCached(name: string, path: string, level: string | undefined, trace: Trace): void {
    const key = `${path}\0${name}`;
    if (!this.cachedLookups.has(key)) this.cachedLookups.set(key, { name, path, level, trace });
  }

  #interpreter(program: LoadedObject): LoadedObject | undefined {
    const path = program.elf.interpreter;
    if (path === undefined) return undefined;
    const trace = this.#tolerant(program.trace, () =>
      executableAt(this.#sysroot, path, program.trace),
    );
    if (trace === undefined) return undefined;
    if (!path.startsWith('/')) {
      this.#loaderWarnings.add(
        `${program.trace.path}: its interpreter ${path} is relative to the working directory: in the jail it is resolved from the root`,
      );
    }
    const elf = this.objects.parse(trace);
    // Linux does not start a program with another kind (fs/binfmt_elf.c, load_elf_interp).
    if (!sameMachine(program.elf.headers, elf.headers)) {
      throw new InterpreterError(program.trace, path, 'is for another machine');
    }
    this.#files.add(trace, { kind: 'interpreter', of: program.trace.path });
    const name = path.startsWith('/') ? path : `/${path}`;
    return loadedObject(name, trace, elf, undefined, 'interpreter');
  }

  /** Records a missing interpreter and continues, if the resolution is to show everything else. */
  #tolerant<T>({ path }: Trace, find: () => T): T | undefined {
    try {
      return find();
    } catch (error) {
      if (!this.#goesOn || !(error instanceof InterpreterError)) throw error;
      const name = error.interpreter;
      this.#miss({ name, neededBy: path, searched: [{ rule: 'interpreter', path: name }] });
      return undefined;
    }
  }

  #searchFor(elf: ElfFile, interpreter: LoadedObject | undefined) {
    const { headers } = elf;
    const key = `${interpreter?.name}/${headers.class}/${headers.byteOrder}/${headers.machine}/${headers.flags}`;
    let known = this.#searches.get(key);
    if (known === undefined) {
      const flavor = loaderFlavor(this.#sysroot, interpreter?.name, interpreter?.trace, headers);
      known = {
        flavor,
        search: new LibrarySearch(
          this.#loaderFiles,
          flavor,
          headers,
          this.#request.libraryPath ?? [],
        ),
      };
      this.#searches.set(key, known);
    }
    return known;
  }
}
