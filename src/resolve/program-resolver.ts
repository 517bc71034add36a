import type { ElfFile } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import type { ReadFacts } from '../fs/file-facts.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import type { LoaderFlavor } from '../loader/flavor.js';
import { type LoadedObject, loadedObject } from '../loader/loaded-object.js';
import { type CachePolicy, LoaderFiles } from '../loader/loader-files.js';
import { type KnownObject, ObjectTable } from '../loader/objects.js';
import { ProbableFiles } from '../loader/probable-files.js';
import { type Edge, mapProcessInSteps, type ProcessImage } from '../loader/process.js';
import { LibrarySearches } from '../loader/searches.js';
import type { MissingLibrary, Reason } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { atOnce, type Steps } from '../manifest/steps.js';
import { CachedLookups } from './cached-lookups.js';
import type { FileCollection } from './file-collection.js';
import type { FoundProgram } from './find-program.js';
import { executableAt, InterpreterError, loadInterpreter } from './interpreter.js';
import { MissingLibraries } from './missing-libraries.js';
import type { Originals, ReadFile } from './originals.js';
import { parseProgram } from './parse-program.js';
import { AlikePrograms, mayBeAlike } from './process/alike-programs.js';
import type { KeptFiles } from './process/kept-files.js';
import { KnownFiles } from './process/known-files.js';
import { KnownObjects } from './process/known-objects.js';
import {
  isModule,
  type MappedProgram,
  type Module,
  mapModule,
  muslInterpreterOf,
} from './process/module-contexts.js';
import { openPreload, PRELOAD, readPreload, unusedPreload } from './process/preload.js';
import { ProgramStrings } from './process/program-strings.js';
import { RunTimeLibraries } from './process/run-time-libraries.js';
import { CollectedEdges, collectEdge, RunningProcess } from './process/running-process.js';
import { RuntimeFacts } from './process/runtime-facts.js';
import { ScriptResolver, type ShellScript } from './scripts/script-resolver.js';

export interface ProgramResolverOptions {
  /** Where env(1) looks for the program of a script. */
  readonly searchPath: readonly string[];
  /** The cache that the loader in the jail will have. */
  readonly cache: CachePolicy;
  readonly originals?: Originals | undefined;
  readonly kept?: KeptFiles | undefined;
  /** Reads several files at once. */
  readonly readFacts?: ReadFacts | undefined;
  /** Record missing interpreters and continue, instead of failing. */
  readonly goesOn?: boolean | undefined;
}

/** Adds programs with their interpreters and libraries to a collection of files. */
export class ProgramResolver {
  anyUsesLdSoCache = false;
  libraryPathUsed = false;
  readonly objects: ObjectTable;
  readonly #loaderFiles: LoaderFiles;
  /** The searches of the loaders of all programs so far. */
  readonly searches: LibrarySearches;
  /** The libraries that a cache for the jail must list. */
  readonly cachedLookups = new CachedLookups();
  readonly known = new KnownObjects();
  readonly #sysroot: Sysroot;
  readonly #knownFiles: KnownFiles;
  /** What the files that were read name in their strings. */
  readonly strings: ProgramStrings;
  readonly #goesOn: boolean;
  readonly #files: FileCollection;
  readonly #request: ResolveRequest;
  readonly #collected = { glibc: new CollectedEdges(), musl: new CollectedEdges() };
  readonly #scripts: ScriptResolver;
  /**
   * For each program seen, the number of interpreters up to one that is not a script; infinite
   * while it is being followed.
   */
  readonly #interpreters = new Map<string, number>();
  /** The paths of files that were checked for being ELF. */
  readonly #looked = new Set<string>();
  readonly #missing = new MissingLibraries();
  /** Whether the files being added may never be opened. */
  #isOptional = false;
  /** Programs with mapped processes, which may open modules. */
  readonly #programs: (MappedProgram & { readonly run: () => RunningProcess })[] = [];
  readonly #alike = new AlikePrograms();
  /** Modules to add once all programs are known. */
  readonly #modules: (Module & { readonly isOptional: boolean })[] = [];
  readonly #preloaded = new Set<LoadedObject>();
  readonly #loaderWarnings = new Set<string>();
  readonly #facts: RuntimeFacts;
  readonly #runTimeLibraries: RunTimeLibraries;

  constructor(
    sysroot: Sysroot,
    files: FileCollection,
    request: ResolveRequest,
    {
      searchPath,
      cache,
      originals = () => undefined,
      kept,
      readFacts,
      goesOn = false,
    }: ProgramResolverOptions,
  ) {
    this.#sysroot = sysroot;
    this.#knownFiles = new KnownFiles(kept, readFacts);
    this.strings = new ProgramStrings(kept);
    this.#goesOn = goesOn;
    this.#files = files;
    this.#request = request;
    this.#scripts = new ScriptResolver(sysroot, searchPath, {
      add: (trace, reason) => this.#addProgram(trace, reason),
      onInterpreter: (script, interpreter) =>
        this.#runTimeLibraries.noteScript(script, interpreter),
    });
    this.#facts = new RuntimeFacts(({ path }) => originals(path)?.facts);
    this.#runTimeLibraries = new RunTimeLibraries(sysroot, files, request, this.#facts, {
      onObject: (process, object) => this.known.note(process, object),
      onMissing: (library) => this.addMissing(library),
      onWarning: (warning) => this.#loaderWarnings.add(warning),
    });
    this.objects = new ObjectTable(
      sysroot,
      (found) => originals(found.path) ?? this.#recall(found),
      (source, elf, found, file) => {
        const isClean = this.#facts.read(source, elf, found);
        if (!isClean) return;
        const facts = this.#facts.ofRead(found.stat.identity);
        this.#knownFiles.add(found, file, { elf, facts });
      },
    );
    this.#loaderFiles = new LoaderFiles(this.objects, cache);
    this.searches = new LibrarySearches(this.#loaderFiles, request.libraryPath ?? []);
  }

  /** Returns what was read of a file, by its identity. */
  read(identity: string): ReadFile {
    return {
      elf: this.objects.parsed(identity),
      facts: this.#facts.ofRead(identity),
      isElf: this.objects.knownElf(identity),
    };
  }

  /** Reads programs that will be added, and what they probably need, faster than one by one. */
  readAhead(programs: readonly FoundProgram[]): void {
    const probable = new ProbableFiles(this.#loaderFiles);
    this.#knownFiles.readAhead(
      programs.map(({ trace }) => trace),
      (elf) => probable.of(elf),
    );
  }

  /** Returns what is known of a file that is unchanged since it was read. */
  #recall(found: Trace): KnownObject | undefined {
    const file = this.#knownFiles.get(found);
    if (file?.facts !== undefined) this.#facts.take(found, file.facts);
    return file && { elf: file.elf, isElf: true };
  }

  /** Libraries that no rule finds, in the order in which they were needed. */
  get missing(): readonly MissingLibrary[] {
    return this.#missing.unmet((soname) => this.known.has(soname));
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
    return [
      ...this.#runTimeLibraries.hints(),
      ...(this.anyUsesLdSoCache && !this.#files.has(PRELOAD) ? unusedPreload(this.#sysroot) : []),
      ...this.#runTimeLibraries.absentServices(),
    ];
  }

  /** Whether a program looks up names or addresses of hosts. */
  get anyLooksUpHosts(): boolean {
    return this.#runTimeLibraries.anyLooksUpHosts;
  }

  /** Shell scripts among the programs, in the order in which they were added. */
  get shellScripts(): readonly ShellScript[] {
    return this.#scripts.shellScripts;
  }

  /** Programs that env(1) starts for the scripts among the programs, by name. */
  get startedByEnv(): readonly FoundProgram[] {
    return this.#scripts.startedByEnv;
  }

  /**
   * Adds a program with everything that Linux and the loader open to start it; for a script, its
   * interpreter.
   *
   * @throws JailbuildError SCRIPT, NOT_ELF, NOT_READABLE, MALFORMED_ELF, MALFORMED_CACHE,
   *   INTERPRETER_NOT_FOUND
   */
  add(program: FoundProgram): void {
    atOnce(this.addInSteps(program));
  }

  /** As {@link add}, with steps for each library. */
  *addInSteps({ as, trace }: FoundProgram): Steps<void> {
    yield* this.#programInSteps(trace, { kind: 'requested', as });
  }

  /** Records a library as missing. */
  addMissing(library: MissingLibrary): void {
    this.#missing.add(this.#asNeeded(library));
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
    atOnce(
      this.#optionalInSteps(trace, () => this.#processInSteps(trace, this.objects.parse(trace))),
    );
  }

  /**
   * As {@link addObject}, and for a script adds its interpreters.
   *
   * @param isWanted decides on each interpreter of a script
   */
  addRunnable(trace: Trace, isWanted: (interpreter: Trace) => boolean = () => true): void {
    atOnce(this.addRunnableInSteps(trace, isWanted));
  }

  /** As {@link addRunnable}, with steps for each library. */
  *addRunnableInSteps(
    trace: Trace,
    isWanted: (interpreter: Trace) => boolean = () => true,
  ): Steps<void> {
    const isRun = (trace.stat.mode & 0o111) !== 0;
    const onError = ({ code, message }: JailbuildError) => {
      if (isRun && code === 'INTERPRETER_NOT_FOUND') this.#loaderWarnings.add(message);
    };
    if (this.#isObject(trace)) {
      const add = () => this.#processInSteps(trace, this.objects.parse(trace));
      yield* this.#optionalInSteps(trace, add, onError);
    } else if (isRun && this.#scripts.interpreters(trace).every(isWanted)) {
      yield* this.#optionalInSteps(trace, () => this.#scriptInSteps(trace), onError);
    }
  }

  /**
   * Adds a program that another one may start, with its dependencies. Missing dependencies are not
   * errors, since it may never be started.
   */
  addCommand(trace: Trace, reason: Reason): void {
    this.#files.add(trace, reason);
    const add = () => {
      const elf = parseProgram(this.objects, trace);
      return elf === undefined ? this.#scriptInSteps(trace) : this.#processInSteps(trace, elf);
    };
    atOnce(this.#optionalInSteps(trace, add));
  }

  /**
   * Returns whether a new file is ELF by its magic number, since modules have arbitrary names and
   * modes.
   */
  #isObject(trace: Trace): boolean {
    if (this.#interpreters.has(trace.path) || this.#looked.has(trace.path)) return false;
    return trace.stat.type === 'file' && this.objects.isElf(trace);
  }

  *#optionalInSteps(
    trace: Trace,
    add: () => Steps<void>,
    onError: (error: JailbuildError) => void = () => {},
  ): Steps<void> {
    if (this.#interpreters.has(trace.path) || this.#looked.has(trace.path)) return;
    this.#looked.add(trace.path);
    this.#isOptional = true;
    try {
      yield* add();
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      onError(error);
    } finally {
      this.#isOptional = false;
    }
  }

  /** @returns the number of interpreters that Linux starts up to one that is not a script */
  #addProgram(trace: Trace, reason: Reason): number {
    return atOnce(this.#programInSteps(trace, reason));
  }

  *#programInSteps(trace: Trace, reason: Reason): Steps<number> {
    this.#files.add(trace, reason);
    const known = this.#interpreters.get(trace.path);
    if (known !== undefined) return known;
    this.#interpreters.set(trace.path, Number.POSITIVE_INFINITY);
    const elf = parseProgram(this.objects, trace);
    let count = 0;
    if (elf === undefined) {
      count = this.#tolerant(trace, () => this.#scripts.add(trace)) ?? 0;
    } else yield* this.#processInSteps(trace, elf);
    this.#interpreters.set(trace.path, count);
    return count;
  }

  *#scriptInSteps(trace: Trace): Steps<void> {
    this.#scripts.add(trace);
    yield;
  }

  *#processInSteps(trace: Trace, elf: ElfFile): Steps<void> {
    if (isModule(elf)) {
      if ((elf.dynamic?.needed.length ?? 0) === 0) this.known.noteSoname(trace, elf);
      else this.#modules.push({ trace, elf, isOptional: this.#isOptional });
      return;
    }
    const program = loadedObject(trace.path, trace, elf, undefined, 'path');
    const interpreter = this.#interpreter(program);
    if (elf.dynamic === undefined) return;
    // The dynamic section of a static-pie program is processed by the program itself.
    if (interpreter === undefined && elf.dynamic.needed.length === 0) return;

    const search = this.searches.of(elf, interpreter);
    const { flavor } = search;
    if (flavor.kind === 'glibc') this.anyUsesLdSoCache = true;
    else if (interpreter !== undefined) this.#addMuslPath(flavor, interpreter);
    const isPlain = flavor.kind === 'glibc' && this.#isPlain(program);
    const edges = isPlain ? this.#alike.edgesOf(program, search) : undefined;
    const resolver = this;
    function* start(): Steps<RunningProcess> {
      const image = yield* mapProcessInSteps(program, interpreter, search);
      if (isPlain) resolver.#alike.add(program, search, image);
      return yield* resolver.#runInSteps(image, flavor, (library) =>
        resolver.#missing.addOfProgram(resolver.#asNeeded(library)),
      );
    }
    let process: RunningProcess | undefined;
    if (edges === undefined) process = yield* start();
    else this.#addAlike(program, edges);
    const run = (): RunningProcess => (process ??= atOnce(start()));
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
    this.known.noteAlone(program);
    this.#runTimeLibraries.note(program);
  }

  *#runInSteps(
    image: ProcessImage,
    { kind }: LoaderFlavor,
    onMissing: (library: MissingLibrary) => void,
  ): Steps<RunningProcess> {
    const process = yield* RunningProcess.inSteps(image, this.#files, this.#collected[kind], {
      onLookup: (edge) => {
        if (kind === 'glibc') this.#noteLookup(edge);
      },
      onVariant: (edge) => this.cachedLookups.noteVariant(edge),
      onMissing,
    });
    yield* this.#runTimeLibraries.openInSteps(process);
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

  /** As {@link finish}, with steps for each module and its libraries. */
  *finishInSteps(): Steps<void> {
    this.#preload();
    for (let module = this.#modules.shift(); module !== undefined; module = this.#modules.shift()) {
      this.#isOptional = module.isOptional;
      try {
        yield* this.#moduleInSteps(module);
      } catch (error) {
        if (!module.isOptional || !(error instanceof JailbuildError)) throw error;
      } finally {
        this.#isOptional = false;
      }
      yield;
    }
  }

  *#moduleInSteps(module: Module): Steps<void> {
    const { trace, elf } = module;
    this.known.noteSoname(trace, elf);
    const { image, search } = mapModule(module, this.#programs, () => {
      const interpreter = muslInterpreterOf(elf, this.objects);
      return { interpreter, search: this.searches.of(elf, interpreter) };
    });
    if (search.flavor.kind === 'glibc') this.anyUsesLdSoCache = true;
    yield* this.#runInSteps(image, search.flavor, (library) =>
      this.#missing.addOfModule(this.#asNeeded(library)),
    );
  }

  /**
   * Loads the libraries of /etc/ld.so.preload, which glibc loads into each program before its own
   * dependencies, ignoring missing ones.
   */
  #preload(): void {
    const preload = this.#files.has(PRELOAD) ? readPreload(this.#sysroot) : undefined;
    if (preload === undefined) return;
    for (const { program, search, run } of this.#programs) {
      if (search.flavor.kind !== 'glibc' || this.#preloaded.has(program)) continue;
      this.#preloaded.add(program);
      const process = run();
      for (const warning of openPreload(preload, process, program)) {
        this.#loaderWarnings.add(warning);
      }
      atOnce(this.#runTimeLibraries.openInSteps(process));
    }
  }

  /** Adds musl's path file, without which the loader would search its default directories. */
  #addMuslPath({ muslPathFile }: LoaderFlavor, { trace: { path } }: LoadedObject): void {
    const found = this.#sysroot.trace(muslPathFile ?? '');
    if (!isTrace(found) || found.stat.type !== 'file') return;
    this.#files.add(found, { kind: 'ld-musl-path', of: path });
  }

  /** Marks a library as optional while files are added that may never be opened. */
  #asNeeded(library: MissingLibrary): MissingLibrary {
    return this.#isOptional ? { ...library, optional: true } : library;
  }

  #noteLookup(edge: Edge): void {
    this.cachedLookups.note(edge);
    const { rule, lookup, path } = edge;
    if (rule !== 'library-path' || lookup === undefined || path === undefined) return;
    this.libraryPathUsed = true;
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
    const interpreter = loadInterpreter(this.objects, program, path, trace);
    this.#files.add(trace, { kind: 'interpreter', of: program.trace.path });
    return interpreter;
  }

  /** Records a missing interpreter and continues, if the resolution is to show everything else. */
  #tolerant<T>({ path }: Trace, find: () => T): T | undefined {
    try {
      return find();
    } catch (error) {
      if (!this.#goesOn || !(error instanceof InterpreterError)) throw error;
      const name = error.interpreter;
      this.addMissing({ name, neededBy: path, searched: [{ rule: 'interpreter', path: name }] });
      return undefined;
    }
  }
}
