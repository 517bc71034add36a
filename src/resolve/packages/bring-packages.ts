import { posix } from 'node:path';
import { JailbuildError } from '../../errors.js';
import { PackageFamilies } from '../../evidence/packages/families.js';
import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isBuildToolFile, isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { baseName } from '../../text/base-name.js';
import { nearest } from '../../text/suggest.js';
import type { Resolution } from '../additions.js';
import { hasUser, type KnownPrograms, ServiceHost, usersOf } from '../advice/configured-users.js';
import { languageOf } from '../advice/hints.js';
import type { FoundProgram } from '../find-program.js';
import { AddedFiles, CONFIGURATION } from './added-files.js';
import { ALTERNATIVES, alternativeLinks } from './alternatives.js';
import { madeConfiguration, madeState } from './made-configuration.js';
import { NamedParts } from './named-parts.js';
import { scriptMentions } from './named-paths.js';
import { PROGRAM } from './package-programs.js';
import { StartedPrograms } from './started-programs.js';

/** The maximum number of missing files named in a message. */
const SHOWN = 3;
/** The maximum number of programs that start each other, from a requested one. */
const MAX_STARTED = 3;
/**
 * Matches data without an extension, or with that of a description. Larger files, in bytes, are not
 * descriptions.
 */
const DATA = /^\/usr\/(share|lib|libexec)\/(.*\/)?([^./]+|[^/]+\.(conf|cfg|desc))$/;
const MAX_DATA = 4 << 10;
/** The maximum number of files of a package that are searched for names of programs. */
const MAX_DATA_FILES = 256;

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
  readonly #added: AddedFiles;
  readonly #started: StartedPrograms;
  readonly #named: NamedParts;
  /** Packages of which only the programs that are started are added. */
  readonly #few = new Set<InstalledPackage>();
  /** Packages enabled by links of others. */
  readonly #enabled = new Set<InstalledPackage>();
  readonly #alternatives: (path: string) => readonly string[];
  #host: ServiceHost | undefined;

  constructor(resolution: Resolution, request: ResolveRequest, database: PackageDatabase) {
    this.#resolution = resolution;
    this.#request = request;
    this.#database = database;
    this.#families = new PackageFamilies(resolution.sysroot, database);
    const sources = { resolution, database, families: this.#families, warnings: this.#warnings };
    this.#alternatives = alternativeLinks(resolution.sysroot);
    this.#added = new AddedFiles(sources);
    this.#started = new StartedPrograms(sources, this.#added, this.#alternatives);
    this.#named = new NamedParts(sources, this.#added);
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
    if (withPackage) this.#named.addNamed(requested, family, all);
    return {
      warnings: this.#warnings,
      gconv: [...this.#named.charsets],
      locales: [...this.#named.locales],
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
      this.#named.addNamed(wrapped, family, family);
    }
    const warnings = this.#warnings.slice(warned);
    return { warnings, gconv: [...this.#named.charsets], locales: [...this.#named.locales], users };
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
   * Returns the programs of a shell script's own packages that it mentions, those of its source
   * package and the interpreters that it runs, and scripts in other languages of its dependencies.
   */
  #wrappedBy({ trace }: FoundProgram): FoundProgram[] {
    const { sysroot, files } = this.#resolution;
    const mentions = scriptMentions(sysroot, trace);
    const owners = this.#families.ownersOf(trace);
    const own = owners.flatMap((owner) => this.#database.filesOf(owner) ?? []);
    const mentioned = own.filter((file) => {
      const [, name] = PROGRAM.exec(file) ?? [];
      return name !== undefined && mentions(name);
    });
    const sources = new Set(owners.map(sourceOf));
    const near = this.#families.dependencies(owners, 1, true);
    const commands = [...this.#commandsOf(trace.path)];
    const byPath = this.#database.ownersOf(commands);
    const others = commands.filter((path) => {
      const among = byPath.get(path) ?? [];
      if (languageOf(path) !== undefined) return true;
      if (among.some((owner) => sources.has(sourceOf(owner)))) return true;
      const isInLanguage = files
        .runBy(path, 'shebang', 'env')
        .some((interpreter) => languageOf(interpreter) !== undefined);
      return isInLanguage && among.some((owner) => near.has(owner));
    });
    return [...new Set([...mentioned, ...others])].flatMap((path) => {
      const found = sysroot.trace(path);
      const isOther = isTrace(found) && found.path !== trace.path && files.has(found.path);
      return isOther ? [{ as: path, trace: found }] : [];
    });
  }

  /** Returns the commands of a shell script, and of the files that it sources. */
  #commandsOf(script: string): Set<string> {
    const { files } = this.#resolution;
    const scripts = new Set([script]);
    const commands = new Set<string>();
    for (const path of scripts) {
      for (const source of files.runBy(path, 'sourced')) scripts.add(source);
      for (const command of files.runBy(path, 'command')) commands.add(command);
    }
    return commands;
  }

  #isBasic({ path }: Trace, brought: ReadonlySet<InstalledPackage>): boolean {
    const owners = this.#database.ownersOf([path]).get(path) ?? [];
    return owners.some((owner) => owner.isEssential || brought.has(owner));
  }

  /**
   * Returns the packages of the programs, of their interpreters if they are scripts, of the
   * libraries that they load or open by name, and of programs of their dependencies that they start
   * by name; each with its family.
   */
  #familyOf(requested: readonly FoundProgram[]): Set<InstalledPackage> {
    const { files } = this.#resolution;
    const base = this.#families.base();
    const owners = requested.flatMap((program) => this.#ownersOf(program));
    const interpreters = files.withReason('shebang', 'env');
    const others = [...this.#database.ownersOf([...interpreters, ...files.withReason('needed')])];
    const linked = others.flatMap(([, found]) => found).filter((owner) => !base.has(owner));
    const running = [...this.#database.ownersOf(interpreters).values()].flat();
    this.#started.noteMentions(requested);
    const { programs } = this.#resolution;
    const scripts = requested.filter(
      ({ trace }) => programs.read(trace.stat.identity).elf === undefined,
    );
    const behind = scripts.flatMap(({ trace }) => this.#families.startedBehind(trace));
    const scripted = scripts.flatMap(({ trace }) => this.#families.ownersOf(trace));
    const family = this.#families.family([...owners, ...running], scripted);
    const opened = this.#families.openedLibraries(family);
    const loaded = new Set([...linked, ...opened, ...this.#families.librariesOf(opened)]);
    const companions = this.#families.companions(loaded);
    for (const member of [...opened, ...companions]) family.add(member);
    const own = this.#families.family(owners);
    // Compilers start others by computed names.
    const isCompiler = this.#families.isCompiler(own);
    const started = this.#started.startedThrough(own, isCompiler ? 1 : MAX_STARTED);
    for (const member of isCompiler ? family : [...family, ...started]) {
      if (!this.#started.isWhole(member)) this.#few.add(member);
    }
    for (const member of started) family.add(member);
    for (const { member, isNew } of this.#started.startedByLibraries(family)) {
      if (isNew) this.#few.add(member);
      family.add(member);
    }
    // Not with its relatives: the server of a client.
    for (const { owner } of behind) family.add(owner);
    return family;
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
    const named = isFew && this.#started.isDriver(member) ? this.#namedInData(wanted) : undefined;
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
      this.#added.add(trace, reason, member);
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
    return (
      name === undefined || this.#resolution.files.has(path) || this.#started.isMentioned(name)
    );
  }

  #incomplete({ name }: InstalledPackage, problem: string, isFatal: boolean): void {
    const message = `package ${name}: ${problem}`;
    if (isFatal) throw new JailbuildError('PACKAGE_INCOMPLETE', message, name);
    this.#warnings.push(message);
  }

  #addAlternatives(path: string, { name }: InstalledPackage): void {
    for (const link of this.#alternatives(path)) {
      const trace = this.#resolution.sysroot.trace(link);
      if (isTrace(trace) && isRunTimeFile(link)) this.#added.add(trace, { kind: 'package', name });
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
      const directory = posix.dirname(path);
      const [owner = first] = this.#database.ownersOf([directory]).get(directory) ?? [];
      this.#added.add(trace, { kind: 'package', name: owner.name });
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
        this.#added.add(file, { kind: 'package', name: member.name }, member);
      }
    }
  }

  /** Adds the configuration that installations of packages made and chose among alternatives. */
  #addChosen(family: ReadonlySet<InstalledPackage>): void {
    for (const member of family) {
      for (const file of madeConfiguration(this.#resolution.sysroot, member, this.#database)) {
        if (this.#alternatives(file.path).length === 0) continue;
        this.#added.add(file, { kind: 'package', name: member.name }, member);
        this.#addAlternatives(file.path, member);
      }
    }
  }
}
