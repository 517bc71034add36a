import { JailbuildError } from '../errors.js';
import { TOP_LINKS } from '../evidence/packages/aliases.js';
import type { ShellSyntax } from '../evidence/shell/syntax.js';
import type { ReadFacts } from '../fs/file-facts.js';
import { OverlayView } from '../fs/overlay-view.js';
import { isTrace, Sysroot } from '../fs/sysroot.js';
import type { AccountRequest } from '../manifest/account-request.js';
import type { Advice } from '../manifest/advice.js';
import type { ManifestRequest, MissingLibrary } from '../manifest/manifest.js';
import type { LdCacheChoice, ResolveRequest } from '../manifest/request.js';
import { atOnce, type Steps } from '../manifest/steps.js';
import { type Additions, needsAdditions, type Resolution } from './additions.js';
import type { Advisable } from './advice/advice-on.js';
import { addLocalHosts } from './data/local-hosts.js';
import { addRunTimeData } from './data/run-time-data.js';
import { addTerminfo } from './data/terminfo.js';
import { resolveEnvironment } from './environment.js';
import { type CollectedFile, FileCollection, type Placement } from './file-collection.js';
import { type FoundProgram, findProgram } from './find-program.js';
import { jailEnvironment, jailPathOf, type OutsideProgram, programsOutside } from './jail-path.js';
import { addGeneratedLdSoCache, LD_SO_CACHE } from './ld-so-cache.js';
import type { Originals, ReadFile } from './originals.js';
import type { BringPackages, Brought } from './packages/brought.js';
import type { KeptFiles } from './process/kept-files.js';
import { ProgramResolver } from './program-resolver.js';
import { chosen } from './recorded-choices.js';
import { addScriptCommands, followedScripts, type ScriptGap } from './scripts/script-commands.js';

/** How the loader in the jail finds libraries, by the cache that the jail gets. */
const CACHE_POLICY = { generate: 'read-or-conf', copy: 'read', none: 'none' } as const;

/** Everything that the requested programs need, before it becomes a plan. */
export interface Closure {
  readonly request: ManifestRequest;
  /** Variables that the profiles set, by name. */
  readonly environment: Readonly<Record<string, string>>;
  readonly sysroot: Sysroot;
  /** The directories in which programs were looked up by name. */
  readonly searchPath: readonly string[];
  /** In the order of their paths. */
  readonly files: readonly CollectedFile[];
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
  /** Files that the programs may open at run time, and how to add them. */
  readonly hints: readonly string[];
  /** What the programs may lack, the likeliest first; only `resolveRequest` finds any. */
  readonly advice: readonly Advice[];
  /** Returns what was read of a file, by its identity. */
  readonly read: (identity: string) => ReadFile;
  /** Returns what was read of the source of the file at a path; undefined for one that is made or not in `files`. */
  readonly readSource: Originals;
}

/** What is known of a file that was added as data. */
const DATA: ReadFile = { elf: undefined, facts: undefined, isElf: false };

/** Context of a resolution in addition to its request. */
export interface ResolveContext {
  /** What profiles, users, includes and excludes of the request change: see `additionsOf`. */
  readonly additions?: Additions | undefined;
  /** What the packages of the request add: see `packagesOf` in bring-packages.ts. */
  readonly packages?: BringPackages | undefined;
  /** Known facts about files, which then need not be read. */
  readonly originals?: Originals | undefined;
  /** What earlier runs have read of files, to which this one adds. */
  readonly kept?: KeptFiles | undefined;
  /** Reads several files of the sources at once. */
  readonly readFacts?: ReadFacts | undefined;
  /** Record missing interpreters and continue, instead of failing. */
  readonly goesOn?: boolean;
  /** The root to resolve in, if it is not a directory that the request names. */
  readonly sysroot?: Sysroot;
  /** Paths of data that some program may open or run, if it is ELF or a script. */
  readonly runnable?: readonly string[];
}

/**
 * Resolves requested programs to everything they need, with the reason for each file. Only reads;
 * runs nothing.
 *
 * Libraries that no rule finds are reported in `missing`, not thrown.
 *
 * @throws JailbuildError SYSROOT_NOT_A_DIRECTORY, PROGRAM_NOT_FOUND, NOT_READABLE,
 *   NOT_A_REGULAR_FILE, NOT_ELF, SCRIPT, MALFORMED_ELF, MALFORMED_CACHE, INTERPRETER_NOT_FOUND,
 *   TERMINFO_NOT_FOUND, CHARSET_NOT_FOUND, LOCALE_NOT_FOUND, CA_CERTIFICATES_NOT_FOUND,
 *   TIME_ZONE_NOT_FOUND
 */
export function resolve(asked: ResolveRequest, context: ResolveContext = {}): Closure {
  return atOnce(resolveInSteps(asked, context));
}

/**
 * As {@link resolve}, with steps for each program and library.
 *
 * @throws JailbuildError as {@link resolve}
 */
export function* resolveInSteps(
  asked: ResolveRequest,
  context: ResolveContext = {},
): Steps<Closure> {
  const resolving = yield* Resolving.begin(asked, context);
  return resolving.finish();
}

/** The result of the first part of a resolution. */
interface Begun {
  readonly request: ResolveRequest;
  readonly context: ResolveContext;
  readonly resolution: Resolution;
  readonly requested: readonly FoundProgram[];
  readonly warnings: readonly string[];
  readonly brought: Brought | undefined;
}

/**
 * A resolution in parts, so that the parser for scripts and the accounts of the sysroot are loaded only if they are
 * needed.
 */
export class Resolving {
  readonly #request: ResolveRequest;
  readonly #context: ResolveContext;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #outside: readonly OutsideProgram[];
  readonly #resolution: Resolution;
  readonly #requested: readonly FoundProgram[];
  readonly #warnings: string[];
  readonly #followsScripts: boolean;
  readonly #brought: Brought | undefined;
  readonly #users: Set<string>;
  #gaps: readonly ScriptGap[] = [];
  #areScriptsFollowed = false;

  private constructor({ request, context, resolution, requested, warnings, brought }: Begun) {
    this.#request = request;
    this.#context = context;
    this.#resolution = resolution;
    this.#requested = requested;
    this.#warnings = [...warnings];
    this.#brought = brought;
    this.#users = new Set(brought?.users);
    const environment = context.additions?.environment ?? {};
    this.#outside = programsOutside(
      [...requested, ...resolution.programs.startedByEnv],
      environment,
    );
    this.#environment = jailEnvironment(resolution, this.#outside, environment);
    this.#followsScripts =
      request.scriptCommands !== 'none' && followedScripts(resolution, brought?.isBasic).length > 0;
  }

  /**
   * Adds the programs, their libraries, and what profiles and packages add.
   *
   * @throws JailbuildError as {@link resolve}
   */
  static *begin(asked: ResolveRequest, context: ResolveContext = {}): Steps<Resolving> {
    const { additions, originals, kept, readFacts } = context;
    if (additions === undefined && needsAdditions(asked)) {
      throw new Error(
        'profiles, users, includes and excludes must be loaded first, by additionsOf',
      );
    }
    const request = additions?.request ?? asked;
    const sources = context.sysroot ?? new Sysroot(request.sysroot);
    const { sysroot, placement } = jailToBe(sources, additions?.places === true);
    const { searchPath, cwd } = resolveEnvironment(request);
    const files = new FileCollection(sysroot, placement);
    const programs = new ProgramResolver(sysroot, files, request, {
      searchPath,
      cache: CACHE_POLICY[request.ldCache ?? 'generate'],
      originals,
      kept,
      readFacts,
      goesOn: context.goesOn,
    });
    const resolution: Resolution = { sysroot, sources, files, programs, searchPath, cwd };
    const added = additions?.addTo(resolution) ?? [];
    const requested = request.programs.map((name) => findProgram(sysroot, name, searchPath, cwd));
    programs.readAhead(requested);
    for (const path of context.runnable ?? []) {
      const trace = sysroot.trace(path);
      if (isTrace(trace)) yield* programs.addRunnableInSteps(trace);
      yield;
    }
    for (const program of requested) {
      yield* programs.addInSteps(program);
      yield;
    }
    yield* programs.finishInSteps();
    const brought = context.packages?.(resolution, requested);
    if (brought !== undefined) addWanted(resolution, brought);
    const warnings = [...added, ...(brought?.warnings ?? [])];
    return new Resolving({ request, context, resolution, requested, warnings, brought });
  }

  /** Users that the packages add to those of the request; complete after {@link addCommands}. */
  get users(): readonly AccountRequest[] {
    const { users = [] } = this.#request;
    const added = [...this.#users].filter((name) => !users.some((user) => user.name === name));
    return added.map((name) => ({ name }));
  }

  /** What advice is based on; complete after {@link finish}. */
  get advisable(): Advisable {
    return {
      resolution: this.#resolution,
      requested: this.#requested,
      gaps: this.#gaps,
      outside: this.#outside,
      areScriptsFollowed: this.#areScriptsFollowed,
    };
  }

  /** Whether {@link addCommands} is to be called. */
  get followsScripts(): boolean {
    return this.#followsScripts;
  }

  /** Adds the commands of scripts, and what packages add for these. */
  addCommands(syntax: ShellSyntax): void {
    this.#areScriptsFollowed = true;
    const jailPath = jailPathOf(this.#environment);
    const { isBasic, complete } = this.#brought ?? {};
    const add = () => addScriptCommands(this.#resolution, syntax, jailPath, isBasic);
    this.#gaps = add();
    const completed = complete?.();
    if (completed === undefined) return;
    for (const name of completed.users) this.#users.add(name);
    addWanted(this.#resolution, completed);
    // Packages of these commands may contain scripts.
    this.#gaps = add();
    this.#warnings.push(...completed.warnings);
  }

  /**
   * Adds users, run-time data, and what all jails have.
   *
   * @param accounts adds the {@link users}, if there are any
   * @throws JailbuildError as {@link resolve}
   */
  finish(accounts?: Pick<Additions, 'addUsers'>): Closure {
    const added = accounts === undefined ? [] : this.users;
    const request = withUsers(this.#request, added);
    const resolution = this.#resolution;
    const { sysroot, sources, files, programs, searchPath } = resolution;
    const { additions } = this.#context;
    const { terminals } = resolveEnvironment(request);
    const terminfo = request.terminfo ?? 'default';
    const ldCache = request.ldCache ?? 'generate';
    const libraryPath = request.libraryPath ?? [];
    const warnings = [
      ...this.#warnings,
      ...(accounts?.addUsers(resolution, added) ?? []),
      ...addTerminfo(sysroot, files, terminfo, terminals),
      ...addRunTimeData(sysroot, files, programs, request),
    ];
    programs.finish();
    if (request.withPackage === true && programs.anyLooksUpHosts) addLocalHosts(files);

    if (programs.libraryPathUsed) {
      warnings.push(
        `libraries were found by --library-path: the programs need LD_LIBRARY_PATH=${libraryPath.join(':')} in the jail`,
      );
    }
    addMergedUsrLinks(sysroot, files);
    if (programs.anyUsesLdSoCache) addLdSoCache(ldCache, sysroot, files, programs);
    additions?.takeOut(resolution);
    files.refuseConflicts();
    const all = files.sorted();
    return {
      request: {
        programs: request.programs,
        terminfo: terminfo === 'all' || terminfo === 'none' ? terminfo : terminfoNames(files),
        ldCache,
        ...chosen(request),
        ...(libraryPath.length === 0 ? {} : { libraryPath }),
      },
      environment: this.#environment,
      sysroot: sources,
      searchPath,
      files: all,
      missing: programs.missing,
      warnings: [...programs.warnings(), ...warnings],
      hints: programs.hints(),
      advice: [],
      read: (identity) => programs.read(identity),
      readSource: (path) => {
        if (files.isData(path)) return DATA;
        const file = files.at(path);
        return file === undefined || file.isMade ? undefined : programs.read(file.stat.identity);
      },
    };
  }
}

function withUsers(request: ResolveRequest, added: readonly AccountRequest[]): ResolveRequest {
  return added.length === 0 ? request : { ...request, users: [...(request.users ?? []), ...added] };
}

/**
 * Returns the root in which programs are resolved: the sources with everything placed over them.
 */
function jailToBe(
  sources: Sysroot,
  isPlacedOver: boolean,
): { readonly sysroot: Sysroot; readonly placement?: Placement } {
  if (!isPlacedOver) return { sysroot: sources };
  const overlay = new OverlayView(sources);
  return { sysroot: new Sysroot(overlay), placement: { sources, overlay } };
}

/** Adds the character sets and locales that programs may need, as far as the sysroot has them. */
function addWanted(
  { sysroot, files, programs }: Resolution,
  { gconv, locales }: Pick<Brought, 'gconv' | 'locales'>,
): void {
  for (const wanted of [...gconv.map((name) => ({ gconv: [name] })), { locales }]) {
    try {
      addRunTimeData(sysroot, files, programs, { programs: [], ...wanted });
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
    }
  }
}

function addLdSoCache(
  choice: LdCacheChoice,
  sysroot: Sysroot,
  files: FileCollection,
  programs: ProgramResolver,
): void {
  if (choice === 'copy') {
    const cache = sysroot.trace(LD_SO_CACHE);
    if (isTrace(cache)) files.add(cache, { kind: 'ld-cache' });
  } else if (choice === 'generate') {
    const lookups = programs.cachedLookups.all;
    addGeneratedLdSoCache(files, programs.objects, lookups, programs.searches.systemDirectories());
  }
}

/**
 * Adds the host's /bin -> usr/bin and similar links if the jail has their target directory: scripts
 * and users name programs by either path (file-hierarchy(7)).
 */
function addMergedUsrLinks(sysroot: Sysroot, files: FileCollection): void {
  for (const path of TOP_LINKS) {
    const trace = sysroot.trace(path);
    if (isTrace(trace) && trace.links.length > 0 && files.has(trace.path)) {
      files.add(trace, { kind: 'merged-usr' });
    }
  }
}

function terminfoNames(files: FileCollection): string[] {
  const names = new Set<string>();
  for (const { reasons } of files.sorted()) {
    for (const reason of reasons) if (reason.kind === 'terminfo') names.add(reason.name);
  }
  return [...names].sort();
}
