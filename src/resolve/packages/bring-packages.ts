import type { ElfFile } from '../../elf/types.js';
import { JailbuildError } from '../../errors.js';
import { PackageFamilies } from '../../evidence/packages/families.js';
import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isBuildToolFile, isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { baseName } from '../../text/base-name.js';
import { nearest } from '../../text/suggest.js';
import type { Resolution } from '../additions.js';
import { hasUser, type KnownPrograms, ServiceHost, usersOf } from '../advice/configured-users.js';
import { languageOf } from '../advice/hints.js';
import {
  isShell,
  runsCommandLines,
  startedShell,
  startsByName,
  startsPrograms,
} from '../advice/shell.js';
import type { FoundProgram } from '../find-program.js';
import { ALTERNATIVES, alternativeLinks } from './alternatives.js';
import { madeConfiguration, madeState } from './made-configuration.js';
import {
  essentialCommands,
  type Mentions,
  mentionsOf,
  type NamedPath,
  namedPaths,
  originalOf,
  quotedCommands,
  scriptMentions,
} from './named-paths.js';
import { PAM, PAM_LIBRARY, pamFiles } from './pam.js';

/** The maximum size in bytes of a directory that is added whole because a program names it. */
const MAX_NAMED_TREE = 64 << 20;
/** The maximum number of missing files named in a message. */
const SHOWN = 3;
/** Configuration and state, where files may be secrets of the host. */
const CONFIGURATION = /^\/(etc|var)\//;

/** The maximum number of programs that start each other, from a requested one. */
const MAX_STARTED = 3;

/** A program of a package. */
const PROGRAM = /^(?:\/usr)?\/s?bin\/([^/]+)$/;
/** A program that is found through a link, if at all. */
const IN_OWN_DIRECTORY = /^\/usr\/lib\/.*\/bin\/[^/]+$/;
/** The maximum number of files of a package that only depends on others, such as a link to one. */
const MAX_META = 2;
/**
 * Matches data without an extension, or with that of a description. Larger files, in bytes, are not
 * descriptions.
 */
const DATA = /^\/usr\/(share|lib|libexec)\/(.*\/)?([^./]+|[^/]+\.(conf|cfg|desc))$/;
const MAX_DATA = 4 << 10;
/** The maximum number of files of a package that are searched for names of programs. */
const MAX_DATA_FILES = 256;
/** Shorter names, in characters, are ends of others by chance. */
const MIN_END = 4;
/** The C library, through which all programs could start others. */
const LIBC = /^libc\.(so|musl)\b/;
/** A module in the language of a script. */
const SOURCE = /^\/usr\/(lib|share)\/.*\.(lua|p[lmy]|php|rb|tcl)$/;
/** The maximum number of modules of a package that are searched for names of programs. */
const MAX_SOURCES = 64;
/** What may be a program that only others of its package start. */
const STAGE = /^\/usr\/lib(?:exec)?\/[^/]+\/(?:.*\/)?[^/.]+$/;
/** The maximum number of such programs that are searched for names of others. */
const MAX_STAGES = 8;
/** Data in a directory of its own. */
const SHARED = /^\/usr\/share\/[^/]+\/./;
/** Modules that a library loads, in a directory of its own. */
const MODULE = /^(\/usr\/lib\/[^/]+-linux-[^/]+\/[^/]+)\/(?:.*\/)?[^/]+\.so$/;
/** Modules that few programs load: engines, and those of services that the jail has not. */
const SELDOM = /\/(engines-[\d.]+|ossl-modules|krb5|sasl2|gconv|systemd|debug)(\/|$)/;
/** Configuration of PAM's modules. */
const OF_MODULES = /^\/etc\/(security\/[^/]+|environment|login\.defs)$/;
/** Character sets that programs with iconv commonly use; all of glibc's modules have 8 MB. */
const USUAL_CHARSETS = ['ISO-8859-1', 'ISO-8859-15', 'UTF-16', 'UTF-32', 'CP1252'];

/** What packages add other than files. */
export interface Brought {
  readonly warnings: readonly string[];
  /** Character sets and locales that the programs need. */
  readonly gconv: readonly string[];
  readonly locales: readonly string[];
  /** Users of the sysroot that configuration of the programs' packages names, and the jail lacks. */
  readonly users: readonly string[];
  /**
   * Returns whether scripts of packages may add a program: one of every system, or of the packages'
   * dependencies.
   */
  readonly isBasic?: (program: Trace) => boolean;
  /**
   * Adds what the programs need that requested shell scripts run, once the commands of these are
   * added; undefined if there are no such programs.
   */
  readonly complete?: () => Brought | undefined;
}

/** Adds packages to a closure. */
export type BringPackages = (resolution: Resolution, requested: readonly FoundProgram[]) => Brought;

/**
 * Returns a function that adds the packages that a request names and those that own its programs.
 *
 * @param database undefined if the sysroot has none
 */
export function packagesOf(
  request: ResolveRequest,
  database: PackageDatabase | undefined,
): BringPackages {
  return (resolution, requested) => {
    if (database !== undefined) {
      return new Expansion(resolution, request, database).run(requested);
    }
    const [name] = request.packages ?? [];
    if (name !== undefined) {
      throw new JailbuildError(
        'PACKAGE_NOT_FOUND',
        `package ${name}: the sysroot has no package database`,
      );
    }
    const warnings = ['--with-package: the sysroot has no package database'];
    return { warnings, gconv: [], locales: [], users: [] };
  };
}

class Expansion {
  readonly #resolution: Resolution;
  readonly #request: ResolveRequest;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #warnings: string[] = [];
  readonly #gconv = new Set<string>();
  /** For each program, the names by which it may start others. */
  readonly #mentions: Mentions[] = [];
  readonly #mentioned = new Map<string, boolean>();
  /** Packages of which only the programs that are started are added. */
  readonly #few = new Set<InstalledPackage>();
  /** Packages that a compiler starts which a program starts: with all their programs. */
  readonly #whole = new Set<InstalledPackage>();
  readonly #dependencies = new Map<InstalledPackage, ReadonlySet<InstalledPackage>>();
  readonly #locales = new Set<string>();
  /** Packages of requested programs and shell scripts that look up others on PATH. */
  readonly #drivers = new Set<InstalledPackage>();
  /** Packages enabled by links of others. */
  readonly #enabled = new Set<InstalledPackage>();
  #host: ServiceHost | undefined;
  #alternatives: ((path: string) => readonly string[]) | undefined;

  constructor(resolution: Resolution, request: ResolveRequest, database: PackageDatabase) {
    this.#resolution = resolution;
    this.#request = request;
    this.#database = database;
    this.#families = new PackageFamilies(resolution.sysroot, database);
  }

  run(requested: readonly FoundProgram[]): Brought {
    const { packages = [], withPackage, packageDepends = 0, packageEssential } = this.#request;
    const named = new Set(packages.map((name) => this.#find(name)));
    const family = withPackage ? this.#familyOf(requested) : new Set<InstalledPackage>();
    const asked = new Set([...named, ...family]);
    const depth = packageDepends === 'all' ? Number.POSITIVE_INFINITY : packageDepends;
    const needed = this.#families.dependencies(asked, depth, packageEssential);
    const headers = withPackage ? this.#families.headers(family) : new Set<InstalledPackage>();
    const all = new Set([...asked, ...needed, ...headers]);
    const owners = new Set(requested.flatMap(({ trace }) => this.#families.ownersOf(trace)));
    for (const member of all) {
      const isCompiled = headers.size > 0 && (family.has(member) || headers.has(member));
      const isOwn = withPackage === true && owners.has(member);
      this.#addPackage(member, named.has(member), isCompiled, isOwn);
    }
    this.#addUnowned(all);
    if (withPackage) this.#addState(family);
    if (withPackage) this.#addChosen(family);
    if (withPackage) this.#addNamed(requested, family, all);
    return {
      warnings: this.#warnings,
      gconv: [...this.#gconv],
      locales: [...this.#locales],
      users: withPackage ? this.#usersOf(requested) : [],
      isBasic: (program) => this.#isBasic(program, all),
      complete: () => (withPackage ? this.#addWrapped(requested) : undefined),
    };
  }

  /** Adds what belongs to the programs that requested shell scripts wrap. */
  #addWrapped(requested: readonly FoundProgram[]): Brought | undefined {
    const { programs } = this.#resolution;
    const scripts = requested.filter(({ trace }) =>
      programs.shellScripts.some((script) => script.trace.path === trace.path),
    );
    if (scripts.length === 0) return undefined;
    const wrapped = scripts.flatMap((program) => this.#wrappedBy(program));
    const users = this.#usersOf([...scripts, ...wrapped]);
    const warned = this.#warnings.length;
    if (wrapped.length > 0) {
      const family = this.#familyOf(wrapped);
      for (const member of family) this.#addPackage(member, false, false);
      this.#addUnowned(family);
      this.#addNamed(wrapped, family, family);
    }
    const warnings = this.#warnings.slice(warned);
    return { warnings, gconv: [...this.#gconv], locales: [...this.#locales], users };
  }

  /** Returns the users that programs look up and the jail lacks. */
  #usersOf(programs: readonly FoundProgram[]): string[] {
    const { files, sysroot } = this.#resolution;
    this.#host ??= new ServiceHost(sysroot.probe, this.#database);
    const host = this.#host;
    const known: KnownPrograms = {
      runBy: (script, kind) => files.runBy(script, kind),
      read: ({ stat }) => this.#resolution.programs.read(stat.identity),
    };
    const found = programs.flatMap((program) =>
      usersOf(host, known, program, this.#families.ownersOf(program.trace)),
    );
    return [...new Set(found.map(({ name }) => name))].filter((name) => !hasUser(files, name));
  }

  /**
   * Returns the programs of a shell script's own packages that it mentions, and those of its source
   * package and the interpreters that it runs.
   */
  #wrappedBy({ trace }: FoundProgram): FoundProgram[] {
    const { sysroot, files } = this.#resolution;
    const mentions = scriptMentions(sysroot, trace);
    const own = this.#families
      .ownersOf(trace)
      .flatMap((owner) => this.#database.filesOf(owner) ?? []);
    const mentioned = own.filter((file) => {
      const [, name] = PROGRAM.exec(file) ?? [];
      return name !== undefined && mentions(name);
    });
    const sources = new Set(this.#families.ownersOf(trace).map(sourceOf));
    const commands = files.runBy(trace.path, 'command');
    const owners = this.#database.ownersOf(commands);
    const others = commands.filter(
      (path) =>
        languageOf(path) !== undefined ||
        owners.get(path)?.some((owner) => sources.has(sourceOf(owner))),
    );
    return [...new Set([...mentioned, ...others])].flatMap((path) => {
      const found = sysroot.trace(path);
      const isOther = isTrace(found) && found.path !== trace.path && files.has(found.path);
      return isOther ? [{ as: path, trace: found }] : [];
    });
  }

  #isBasic({ path }: Trace, brought: ReadonlySet<InstalledPackage>): boolean {
    const owners = this.#database.ownersOf([path]).get(path) ?? [];
    return owners.some((owner) => owner.isEssential || brought.has(owner));
  }

  /**
   * Returns the packages of the programs, of their interpreters if they are scripts, of the
   * libraries that they load, and of programs of their dependencies that they start by name; each
   * with its family.
   */
  #familyOf(requested: readonly FoundProgram[]): Set<InstalledPackage> {
    const { files } = this.#resolution;
    const base = this.#families.base();
    const owners = requested.flatMap((program) => this.#ownersOf(program));
    const interpreters = files.withReason('shebang', 'env');
    const others = [...this.#database.ownersOf([...interpreters, ...files.withReason('needed')])];
    const linked = others.flatMap(([, found]) => found).filter((owner) => !base.has(owner));
    const running = [...this.#database.ownersOf(interpreters).values()].flat();
    this.#noteMentions(requested);
    const { programs } = this.#resolution;
    const scripts = requested.filter(
      ({ trace }) => programs.read(trace.stat.identity).elf === undefined,
    );
    const behind = scripts.flatMap(({ trace }) => this.#families.startedBehind(trace));
    const scripted = scripts.flatMap(({ trace }) => this.#families.ownersOf(trace));
    const family = this.#families.family([...owners, ...running], scripted);
    for (const member of this.#families.companions(new Set(linked))) family.add(member);
    const own = this.#families.family(owners);
    // Compilers start others by computed names.
    const isCompiler = this.#families.isCompiler(own);
    const started = this.#startedThrough(own, isCompiler ? 1 : MAX_STARTED);
    for (const member of isCompiler ? family : [...family, ...started]) {
      if (!this.#whole.has(member)) this.#few.add(member);
    }
    for (const member of started) family.add(member);
    // Not with its relatives: the server of a client.
    for (const { owner } of behind) family.add(owner);
    return family;
  }

  /**
   * Returns the packages of programs that packages start, and those that these start in turn, each
   * with its family: aclocal starts autom4te, which starts m4.
   *
   * @param depth the number of steps to follow
   */
  #startedThrough(own: ReadonlySet<InstalledPackage>, depth: number): Set<InstalledPackage> {
    const started = new Set<InstalledPackage>();
    let front = own;
    for (let step = 1; front.size > 0; step++) {
      const direct = this.#startedBy(front).filter((member) => !started.has(member));
      const isCompiler = step > 1 && this.#families.isCompiler(front);
      front = this.#families.family(direct);
      for (const member of front) {
        started.add(member);
        // Compilers start others by computed names.
        if (isCompiler) this.#whole.add(member);
      }
      if (depth === 1) break;
      this.#noteMentions(this.#addMentioned(direct));
      if (step === depth) break;
    }
    return started;
  }

  /** Adds and returns the mentioned programs of packages. */
  #addMentioned(packages: readonly InstalledPackage[]): FoundProgram[] {
    const added: FoundProgram[] = [];
    for (const member of packages) {
      for (const file of this.#database.filesOf(member) ?? []) {
        const [, name] = PROGRAM.exec(file) ?? [];
        if (name === undefined || !this.#isMentioned(name)) continue;
        const trace = this.#resolution.sysroot.trace(file);
        if (!isTrace(trace) || trace.stat.type !== 'file') continue;
        this.#add(trace, { kind: 'package', name: member.name }, member);
        added.push({ as: file, trace });
      }
    }
    return added;
  }

  /**
   * Returns the dependencies whose programs these packages start: by a bare name, or by computed
   * names, as compilers start the assembler and linker.
   */
  #startedBy(family: ReadonlySet<InstalledPackage>): InstalledPackage[] {
    const isCompiler = this.#families.isCompiler(family);
    return this.#near(family).filter((other) =>
      this.#database
        .filesOf(other)
        ?.some((file) => this.#namesOf(file).some((name) => isCompiler || this.#isMentioned(name))),
    );
  }

  /** Returns the dependencies of packages outside these, also through packages without parts. */
  #near(family: ReadonlySet<InstalledPackage>): InstalledPackage[] {
    const direct = [...this.#families.dependencies(family, 1)];
    const near = new Set(direct);
    for (const other of this.#families.dependencies(
      direct.filter((item) => this.#isMeta(item)),
      1,
    ))
      near.add(other);
    return [...near].filter((other) => !family.has(other));
  }

  /** Returns whether a package only depends on others: default-jre-headless. */
  #isMeta(member: InstalledPackage): boolean {
    const listed = this.#database.filesOf(member) ?? [];
    const directories = new Set(listed.map((file) => parentOf(file)));
    const files = listed.filter((file) => !directories.has(file) && isRunTimeFile(file));
    return files.length <= MAX_META;
  }

  /** Returns the names by which a program is found, also by an alternative; none for other files. */
  #namesOf(file: string): string[] {
    const [, name] = PROGRAM.exec(file) ?? [];
    if (name !== undefined) return [name];
    if (!IN_OWN_DIRECTORY.test(file)) return [];
    this.#alternatives ??= alternativeLinks(this.#resolution.sysroot);
    return this.#alternatives(file).flatMap((link) => PROGRAM.exec(link)?.[1] ?? []);
  }

  /** Records the names by which programs may start others. */
  #noteMentions(requested: readonly FoundProgram[]): void {
    const { sysroot, programs } = this.#resolution;
    this.#mentioned.clear();
    for (const { trace } of requested) {
      const { elf, facts } = programs.read(trace.stat.identity);
      const isShellScript = programs.shellScripts.some(
        (script) => script.trace.path === trace.path,
      );
      if (isShellScript || startsByName(facts?.imports ?? [])) {
        for (const owner of this.#families.ownersOf(trace)) {
          if (!owner.isEssential) this.#drivers.add(owner);
        }
      }
      if (elf === undefined) {
        this.#mentions.push(scriptMentions(sysroot, trace));
        if (!isShellScript) this.#mentions.push(...this.#mentionsOfModules(trace));
      } else if (startsPrograms(facts?.imports ?? []) || this.#startsByLibrary(elf)) {
        this.#mentions.push(mentionsOf(sysroot, trace, elf));
        // Linkers merge strings that are ends of others, such as `diff` in `sdiff`.
        const own = baseName(trace.path);
        this.#mentions.push((name) => name.length >= MIN_END && own.endsWith(name));
      } else if (isStatic(elf)) {
        this.#mentions.push(mentionsOf(sysroot, trace, elf), ...this.#mentionsOfStages(trace));
      }
    }
  }

  /**
   * Adds the static programs in directories of a static program's own package, and returns what they
   * mention: it may start them by computed names, and its imports do not show whether they start
   * others.
   */
  #mentionsOfStages(driver: Trace): Mentions[] {
    const { sysroot, programs } = this.#resolution;
    const found: Mentions[] = [];
    for (const owner of this.#families.ownersOf(driver)) {
      for (const file of this.#database.filesOf(owner) ?? []) {
        if (found.length === MAX_STAGES) return found;
        const trace = STAGE.test(file) ? sysroot.trace(file) : undefined;
        if (trace === undefined || !isTrace(trace)) continue;
        if (trace.stat.type !== 'file' || (trace.stat.mode & 0o111) === 0) continue;
        this.#add(trace, { kind: 'package', name: owner.name }, owner);
        const { elf } = programs.read(trace.stat.identity);
        if (elf !== undefined && isStatic(elf)) found.push(mentionsOf(sysroot, trace, elf));
      }
    }
    return found;
  }

  /** Returns what the modules of a script's own package mention, in which most of it may be. */
  #mentionsOfModules(script: Trace): Mentions[] {
    const { sysroot } = this.#resolution;
    const modules = this.#families
      .ownersOf(script)
      .flatMap((owner) => this.#database.filesOf(owner) ?? [])
      .filter((file) => SOURCE.test(file));
    return modules.slice(0, MAX_SOURCES).flatMap((file) => {
      const trace = sysroot.probe.trace(file);
      return isTrace(trace) && trace.stat.type === 'file' ? [scriptMentions(sysroot, trace)] : [];
    });
  }

  /**
   * Returns whether a library of a program may start others for it, as libpipeline does for man.
   */
  #startsByLibrary(elf: ElfFile): boolean {
    const { sysroot, files, programs } = this.#resolution;
    const wanted = new Set(elf.dynamic?.needed ?? []);
    return files.withReason('needed').some((path) => {
      const library = sysroot.trace(path);
      if (!isTrace(library)) return false;
      const { elf: read, facts } = programs.read(library.stat.identity);
      const name = read?.dynamic?.soname ?? baseName(path);
      return wanted.has(name) && !LIBC.test(name) && startsPrograms(facts?.imports ?? []);
    });
  }

  #isMentioned(name: string): boolean {
    // One letter is rather a mode of fopen(3) than a program.
    if (name.length === 1) return false;
    let known = this.#mentioned.get(name);
    if (known === undefined) {
      known = this.#mentions.some((mentions) => mentions(name));
      this.#mentioned.set(name, known);
    }
    return known;
  }

  #find(name: string): InstalledPackage {
    const found = this.#database.find(name) ?? this.#database.providersOf(name)[0];
    if (found !== undefined) return found;
    const near = nearest(name, this.#database.names(), name.length > 4 ? 2 : 1);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    throw new JailbuildError('PACKAGE_NOT_FOUND', `package ${name}: is not installed${hint}`, name);
  }

  #ownersOf({ as, trace }: FoundProgram): InstalledPackage[] {
    const owners = this.#families.ownersOf(trace);
    if (owners.length === 0) {
      this.#warnings.push(`${as}: no package owns ${trace.path}, so --with-package adds nothing`);
    }
    return owners;
  }

  /**
   * @param isNamed whether the user named it: then its files must exist
   * @param isCompiled whether to include headers and static libraries
   * @param isOwn whether it is the package of a requested program
   */
  #addPackage(
    member: InstalledPackage,
    isNamed: boolean,
    isCompiled: boolean,
    isOwn = false,
  ): void {
    const listed = this.#database.filesOf(member);
    if (listed === undefined) {
      this.#incomplete(member, 'the database has no list of its files', isNamed);
      return;
    }
    const wanted = this.#request.packageDocs
      ? listed
      : listed.filter(
          (path) => isRunTimeFile(path, isCompiled) || (isOwn && isBuildToolFile(path)),
        );
    const isFew = !isNamed && this.#few.has(member);
    const named = isFew && this.#drivers.has(member) ? this.#namedInData(wanted) : undefined;
    const reason = { kind: 'package', name: member.name } as const;
    const missing: string[] = [];
    let found = 0;
    for (const path of wanted) {
      if (isFew && !this.#isStarted(path) && !named?.has(baseName(path))) continue;
      const trace = this.#resolution.sysroot.trace(path);
      if (!isTrace(trace)) {
        // The administrator may remove configuration files.
        if (!CONFIGURATION.test(path)) missing.push(path);
        continue;
      }
      if (trace.stat.type === 'file') found++;
      this.#add(trace, reason, member);
      this.#addAlternatives(path, member);
    }
    if (missing.length === 0) return;
    const more = missing.length - SHOWN;
    const names = missing.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
    this.#incomplete(member, `lacks files that it installed: ${names}`, isNamed && found === 0);
  }

  /**
   * Returns the words in small text files of a package, where a driver of other programs may find
   * their names.
   */
  #namedInData(paths: readonly string[]): Set<string> {
    const { sysroot } = this.#resolution;
    const { probe } = sysroot;
    const words = new Set<string>();
    let left = MAX_DATA_FILES;
    for (const path of paths) {
      if (left === 0) break;
      if (PROGRAM.test(path) || !DATA.test(path)) continue;
      const trace = probe.trace(path);
      if (!isTrace(trace) || trace.stat.type !== 'file' || trace.stat.size > MAX_DATA) continue;
      left--;
      for (const word of probe.readText(trace).split(/\s+/)) words.add(word);
    }
    return words;
  }

  /** Returns whether a file is not a program, or is a requested or mentioned one. */
  #isStarted(path: string): boolean {
    const [, name] = PROGRAM.exec(path) ?? [];
    return name === undefined || this.#resolution.files.has(path) || this.#isMentioned(name);
  }

  #incomplete({ name }: InstalledPackage, problem: string, isFatal: boolean): void {
    const message = `package ${name}: ${problem}`;
    if (isFatal) throw new JailbuildError('PACKAGE_INCOMPLETE', message, name);
    this.#warnings.push(message);
  }

  #addAlternatives(path: string, { name }: InstalledPackage): void {
    this.#alternatives ??= alternativeLinks(this.#resolution.sysroot);
    for (const link of this.#alternatives(path)) {
      const trace = this.#resolution.sysroot.trace(link);
      if (isTrace(trace) && isRunTimeFile(link)) this.#add(trace, { kind: 'package', name });
    }
  }

  #addUnowned(packages: ReadonlySet<InstalledPackage>): void {
    const [first] = packages;
    if (first === undefined) return;
    const isWanted = (path: string) => this.#request.packageDocs || isRunTimeFile(path);
    for (const path of this.#families.unownedFiles(packages, isWanted)) {
      // Links of alternatives are added with their targets.
      if (path.startsWith(`${ALTERNATIVES}/`)) continue;
      const trace = this.#resolution.sysroot.trace(path);
      if (!isTrace(trace)) continue;
      const [owner = first] = this.#database.ownersOf([parentOf(path)]).get(parentOf(path)) ?? [];
      this.#add(trace, { kind: 'package', name: owner.name });
      // A link in a configuration directory enables a file of another package.
      const isLink = trace.links.some(({ last }) => last);
      for (const other of isLink ? this.#families.ownersOf(trace) : []) {
        if (packages.has(other) || this.#enabled.has(other)) continue;
        this.#enabled.add(other);
        this.#addPackage(other, false, false);
      }
    }
  }

  /** Adds the empty files of state that the installations of packages made. */
  #addState(family: ReadonlySet<InstalledPackage>): void {
    for (const member of family) {
      for (const file of madeState(this.#resolution.sysroot, member, this.#database)) {
        this.#add(file, { kind: 'package', name: member.name }, member);
      }
    }
  }

  /** Adds the configuration that installations of packages made and chose among alternatives. */
  #addChosen(family: ReadonlySet<InstalledPackage>): void {
    const { sysroot } = this.#resolution;
    for (const member of family) {
      for (const file of madeConfiguration(sysroot, member, this.#database)) {
        this.#alternatives ??= alternativeLinks(sysroot);
        if (this.#alternatives(file.path).length === 0) continue;
        this.#add(file, { kind: 'package', name: member.name }, member);
        this.#addAlternatives(file.path, member);
      }
    }
  }

  /** Adds what programs name from packages that theirs depend on, or whose libraries they load. */
  #addNamed(
    requested: readonly FoundProgram[],
    family: ReadonlySet<InstalledPackage>,
    brought: ReadonlySet<InstalledPackage>,
  ): void {
    const { sysroot, files, programs } = this.#resolution;
    const objects = this.#ownObjects(requested, family);
    const named = objects.flatMap((object) => {
      const { elf, facts } = programs.read(object.stat.identity);
      if (elf === undefined) {
        this.#addQuoted(object);
        return [];
      }
      const paths = this.#namedBy(object, elf);
      const imports = facts?.imports ?? [];
      this.#addShell(startedShell(imports, paths), object.path);
      if (runsCommandLines(imports)) this.#addCommands(object, elf);
      if (startsByName(imports)) this.#addOriginal(object);
      if (imports.includes('iconv_open')) for (const set of USUAL_CHARSETS) this.#gconv.add(set);
      if (imports.includes('setlocale') && imports.includes('nl_langinfo')) {
        this.#locales.add('C.UTF-8');
      }
      const starts = startsPrograms(imports);
      return paths.map((path) => ({ ...path, by: object.path, starts }));
    });
    const absent = named.filter(
      ({ trace }) => trace.stat.type === 'directory' || !files.has(trace.path),
    );
    const owners = this.#database.ownersOf([...new Set(absent.map(({ trace }) => trace.path))]);
    const allowed = this.#allowedOwners(family);
    const own = new Set(requested.map(({ trace }) => trace.path));
    this.#addDataOfLibraries(family);
    this.#addConfigured(requested);
    for (const program of requested) this.#addAuthentication(program);
    for (const { name, trace, by, starts } of absent) {
      const among = owners.get(trace.path) ?? [];
      if (starts && among.some(({ isEssential }) => isEssential)) this.#addNamedProgram(name, by);
      const isOnly = own.has(by) && among.length === 1;
      const owner = among.find(
        (item) =>
          (allowed.has(item) || (isOnly && this.#families.isData(item))) && !brought.has(item),
      );
      if (owner === undefined || !isRunTimeFile(trace.path)) continue;
      const found = sysroot.trace(name);
      if (isTrace(found)) this.#addTree(found, { kind: 'named', by, package: owner.name });
    }
  }

  /** Adds a program of every system that another one names by path; shells are added as such. */
  #addNamedProgram(name: string, by: string): void {
    const { sysroot, programs } = this.#resolution;
    if (!PROGRAM.test(name) || isShell(name)) return;
    const trace = sysroot.trace(name);
    if (isTrace(trace)) programs.addCommand(trace, { kind: 'command', by, name });
  }

  /**
   * Adds what libraries name from the data of their own packages: modules, and for libraries of other
   * packages than the programs' scripts and tables.
   */
  #addDataOfLibraries(family: ReadonlySet<InstalledPackage>): void {
    const { sysroot, files, programs } = this.#resolution;
    const base = this.#families.base();
    for (const [path, owners] of this.#database.ownersOf(files.withReason('needed'))) {
      const owner = owners.find((item) => !base.has(item));
      if (owner === undefined || !this.#hasData(owner)) continue;
      const library = sysroot.trace(path);
      if (!isTrace(library)) continue;
      const { elf } = programs.read(library.stat.identity);
      if (elf === undefined) continue;
      // Other packages add modules to its directories, too.
      this.#addModules(owner, library, elf);
      if (family.has(owner)) continue;
      const named = this.#namedBy(library, elf).filter(({ name }) => SHARED.test(name));
      const listed = this.#database.ownersOf(named.map(({ trace }) => trace.path));
      for (const { name, trace } of named) {
        const found = listed.get(trace.path)?.includes(owner) ? sysroot.trace(name) : undefined;
        if (found === undefined || !isTrace(found) || !isRunTimeFile(found.path)) continue;
        this.#addTree(found, { kind: 'named', by: library.path, package: owner.name });
      }
    }
  }

  /** Adds the directories of modules of a library's own package whose names the library has in its data. */
  #addModules(owner: InstalledPackage, library: Trace, elf: ElfFile): void {
    const { sysroot } = this.#resolution;
    const listed = this.#database.filesOf(owner) ?? [];
    const directories = new Set(listed.flatMap((file) => MODULE.exec(file)?.[1] ?? []));
    if (directories.size === 0) return;
    const mentions = mentionsOf(sysroot, library, elf);
    for (const directory of directories) {
      const found = sysroot.trace(directory);
      if (SELDOM.test(directory) || !isTrace(found) || !mentions(baseName(directory))) continue;
      this.#addTree(found, { kind: 'named', by: library.path, package: owner.name });
    }
  }

  /** Adds what programs and libraries name of the configuration that installations made. */
  #addConfigured(requested: readonly FoundProgram[]): void {
    const { sysroot, files, programs } = this.#resolution;
    const base = this.#families.base();
    const paths = [...requested.map(({ trace }) => trace.path), ...files.withReason('needed')];
    for (const [path, owners] of this.#database.ownersOf(paths)) {
      const made = owners
        .filter((owner) => !base.has(owner))
        .flatMap((owner) => madeConfiguration(sysroot, owner, this.#database))
        .filter((file) => !files.has(file.path));
      const object = sysroot.trace(path);
      if (made.length === 0 || !isTrace(object)) continue;
      const { elf } = programs.read(object.stat.identity);
      if (elf === undefined) continue;
      const named = new Set(this.#namedBy(object, elf).map(({ trace }) => trace.path));
      const [owner] = owners;
      for (const file of made) {
        if (owner === undefined || !named.has(file.path)) continue;
        this.#add(file, { kind: 'named', by: path, package: owner.name });
      }
    }
  }

  /** Adds what a program that authenticates through PAM needs, without passwords. */
  #addAuthentication({ trace }: FoundProgram): void {
    const { sysroot, files, programs } = this.#resolution;
    const { elf, facts } = programs.read(trace.stat.identity);
    if (elf === undefined || facts?.imports.includes('pam_start') !== true) return;
    const library = files.withReason('needed').find((path) => PAM_LIBRARY.test(path));
    if (library === undefined) return;
    const name = baseName(trace.path);
    const mentions = mentionsOf(sysroot, trace, elf);
    const services = this.#families
      .ownersOf(trace)
      .flatMap((owner) => this.#database.filesOf(owner) ?? [])
      .filter((file) => file.startsWith(`${PAM}/`))
      .map((file) => baseName(file))
      .filter((service) => service === name || mentions(service));
    const { configuration, modules } = pamFiles(sysroot, new Set([name, ...services]), library);
    const [owner] = this.#database.ownersOf([library]).get(library) ?? [];
    if (owner === undefined) return;
    const reason = { kind: 'named', by: library, package: owner.name } as const;
    for (const file of [...configuration, ...modules]) this.#add(file, reason);
    for (const module of modules) {
      const read = programs.read(module.stat.identity).elf;
      if (read === undefined) continue;
      for (const { name: path } of this.#namedBy(module, read)) {
        const found = OF_MODULES.test(path) ? sysroot.trace(path) : undefined;
        if (found !== undefined && isTrace(found)) this.#add(found, reason);
      }
    }
  }

  /** Returns the paths that a program or library names in its data. */
  #namedBy(object: Trace, elf: ElfFile): NamedPath[] {
    const { sysroot, programs } = this.#resolution;
    return namedPaths(sysroot.probe, object, programs.strings.of(sysroot.probe, object, elf));
  }

  #hasData(owner: InstalledPackage): boolean {
    const listed = this.#database.filesOf(owner) ?? [];
    return listed.some((file) => (SHARED.test(file) && isRunTimeFile(file)) || MODULE.test(file));
  }

  #addShell(shell: string | undefined, by: string): void {
    const trace = shell === undefined ? undefined : this.#resolution.sysroot.trace(shell);
    if (shell === undefined || trace === undefined || !isTrace(trace)) return;
    this.#resolution.programs.addWithReason(trace, { kind: 'command', by, name: shell });
  }

  #addOriginal(object: Trace): void {
    const { sysroot, programs } = this.#resolution;
    const name = baseName(object.path);
    const original = originalOf(sysroot, name, this.#database);
    if (original === undefined) return;
    const reason = { kind: 'command', by: object.path, name: baseName(original.path) } as const;
    programs.addCommand(original, reason);
  }

  /** Adds the basic programs that a script in a language other than the shell's runs by name. */
  #addQuoted(script: Trace): void {
    const { sysroot, programs } = this.#resolution;
    if (programs.shellScripts.some(({ trace }) => trace.path === script.path)) return;
    for (const [name, trace] of quotedCommands(sysroot, script, this.#database)) {
      programs.addCommand(trace, { kind: 'command', by: script.path, name });
      // As tar starts programs that compress.
      const { elf, facts } = programs.read(trace.stat.identity);
      const imports = facts?.imports ?? [];
      if (elf === undefined || !startsPrograms(imports)) continue;
      this.#addShell(startedShell(imports, this.#namedBy(trace, elf)), trace.path);
    }
  }

  #addCommands(object: Trace, elf: ElfFile): void {
    const { sysroot, programs } = this.#resolution;
    const { commands } = programs.strings.of(sysroot, object, elf);
    for (const [name, trace] of essentialCommands(sysroot, object, commands, this.#database)) {
      programs.addCommand(trace, { kind: 'command', by: object.path, name });
    }
  }

  /** Returns the requested programs, and their libraries from their own packages. */
  #ownObjects(requested: readonly FoundProgram[], family: ReadonlySet<InstalledPackage>): Trace[] {
    const { sysroot, files } = this.#resolution;
    const own = new Set([...family].flatMap((member) => this.#database.filesOf(member) ?? []));
    const libraries = files.withReason('needed').flatMap((path) => {
      const trace = sysroot.trace(path);
      return isTrace(trace) && trace.stat.type === 'file' && isListed(own, path) ? [trace] : [];
    });
    return [...requested.map(({ trace }) => trace), ...libraries];
  }

  #allowedOwners(family: ReadonlySet<InstalledPackage>): ReadonlySet<InstalledPackage> {
    const { files } = this.#resolution;
    const base = this.#families.base();
    const linked = [...this.#database.ownersOf(files.withReason('needed')).values()].flat();
    const all = [
      ...this.#families.dependencies(family, Number.POSITIVE_INFINITY),
      ...linked.filter((owner) => !base.has(owner)),
    ];
    return new Set(all);
  }

  #addTree(trace: Trace, reason: Reason): void {
    const paths = trace.stat.type === 'directory' ? this.#below(trace, MAX_NAMED_TREE) : [];
    if (paths === undefined) {
      this.#warnings.push(
        `${trace.path}: is named by a program and larger than ${MAX_NAMED_TREE >> 20} MiB: add --include ${trace.path}`,
      );
      return;
    }
    this.#add(trace, reason);
    for (const path of paths) this.#add(path, reason);
  }

  /** Returns everything below a directory; undefined if its files exceed the limit in bytes. */
  #below(directory: Trace, limit: number): Trace[] | undefined {
    const { sysroot } = this.#resolution;
    const found: Trace[] = [];
    let left = limit;
    const walk = (at: Trace): void => {
      for (const name of sysroot.list(at)) {
        const path = `${at.path}/${name}`;
        const trace = sysroot.trace(path);
        if (!isTrace(trace) || !isRunTimeFile(path)) continue;
        found.push(trace);
        if (trace.stat.type === 'file') left -= trace.stat.size;
        if (left < 0) return;
        if (trace.stat.type === 'directory' && trace.links.length === 0) walk(trace);
      }
    };
    walk(directory);
    return left < 0 ? undefined : found;
  }

  /**
   * Adds a single path; for a directory or a link to one, none of its content. The interpreter of a
   * script is added only if it is a shell or a dependency of the package: other scripts are for
   * systems that have their language.
   */
  #add(trace: Trace, reason: Reason, owner?: InstalledPackage): void {
    const { files, programs } = this.#resolution;
    const { type, mode } = trace.stat;
    if (type === 'directory') {
      if (trace.path !== '/') files.add(trace, reason);
      return;
    }
    if (type !== 'file') return;
    if (CONFIGURATION.test(trace.path) && (mode & 0o004) === 0) {
      this.#warnings.push(
        `${trace.path}: is not world-readable and is left out: add --include ${trace.path}`,
      );
      return;
    }
    files.add(trace, reason);
    programs.addRunnable(trace, (interpreter) => this.#runsWith(interpreter, owner));
  }

  #runsWith(interpreter: Trace, owner: InstalledPackage | undefined): boolean {
    if (isShell(interpreter.path) || this.#resolution.files.has(interpreter.path)) return true;
    if (owner === undefined) return false;
    let needed = this.#dependencies.get(owner);
    if (needed === undefined) {
      needed = this.#families.dependencies([owner], Number.POSITIVE_INFINITY);
      this.#dependencies.set(owner, needed);
    }
    const owners = this.#database.ownersOf([interpreter.path]).get(interpreter.path) ?? [];
    return owners.some((item) => item === owner || needed.has(item));
  }
}

function isStatic(elf: ElfFile): boolean {
  return (elf.dynamic?.needed ?? []).length === 0;
}

/** Returns whether packages list a file, also by its path before the merge of /usr. */
function isListed(own: ReadonlySet<string>, path: string): boolean {
  return own.has(path) || own.has(path.replace(/^\/usr/, ''));
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
