import { posix } from 'node:path';
import { JailbuildError } from '../../errors.js';
import { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isBuildToolFile, isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { UnownedFiles } from '../../evidence/packages/unowned-files.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { baseName } from '../../text/base-name.js';
import { nearest } from '../../text/suggest.js';
import type { FoundProgram } from '../find-program.js';
import { type KnownPrograms, ServiceHost, usersOf } from '../usage/configured-users.js';
import { madeConfiguration } from '../usage/made-configuration.js';
import { declaredDirectories, madeState } from '../usage/made-state.js';
import { PROGRAM } from '../usage/package-programs.js';
import { AddedFiles, CONFIGURATION } from './added-files.js';
import { ALTERNATIVES, alternativeLinks } from './alternatives.js';
import type { Brought } from './brought.js';
import type { ClosureSoFar } from './closure-so-far.js';
import { NamedParts } from './named-parts.js';
import { StartedPrograms } from './started-programs.js';
import { wordsInData } from './words-in-data.js';
import { wrappedBy } from './wrapped-programs.js';

/** The maximum number of missing files named in a message. */
const SHOWN = 3;
/** The maximum number of programs that start each other, from a requested one. */
const MAX_STARTED = 3;

/** What packages brought, and the packages. */
export interface Expanded extends Omit<Brought, 'isBasic' | 'complete'> {
  readonly packages: ReadonlySet<InstalledPackage>;
}

/** Adds the packages that a request names and those that own its programs to a closure. */
export class Expansion {
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
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

  /** @param sysroot the root from which files are copied */
  constructor(
    sysroot: Sysroot,
    closure: ClosureSoFar,
    request: ResolveRequest,
    database: PackageDatabase,
  ) {
    this.#sysroot = sysroot;
    this.#closure = closure;
    this.#request = request;
    this.#database = database;
    const families = new PackageFamilies(sysroot, database);
    this.#families = families;
    const sources = { sysroot, closure, database, families, warnings: this.#warnings };
    this.#alternatives = alternativeLinks(sysroot);
    this.#added = new AddedFiles(sources);
    this.#started = new StartedPrograms(sources, this.#added, this.#alternatives);
    this.#named = new NamedParts(sources, this.#added);
  }

  /**
   * Adds packages to the closure of requested programs.
   *
   * @throws JailbuildError PACKAGE_NOT_FOUND, PACKAGE_INCOMPLETE
   */
  run(requested: readonly FoundProgram[]): Expanded {
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
      packages: all,
    };
  }

  /**
   * Adds what belongs to the programs that requested shell scripts wrap, once the commands of these are added.
   *
   * @returns undefined if no program is a shell script
   */
  addWrapped(requested: readonly FoundProgram[]): Brought | undefined {
    const closure = this.#closure;
    const scripts = requested.filter(({ trace }) => closure.isShellScript(trace.path));
    if (scripts.length === 0) return undefined;
    const sources = {
      sysroot: this.#sysroot,
      closure,
      families: this.#families,
      database: this.#database,
    };
    const wrapped = scripts.flatMap((program) => wrappedBy(program, sources));
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
    const closure = this.#closure;
    this.#host ??= new ServiceHost(this.#sysroot.probe, this.#database);
    const host = this.#host;
    const known: KnownPrograms = {
      runBy: (script, kind) => closure.runBy(script, kind),
      read: ({ stat }) => closure.read(stat.identity),
    };
    const found = programs.flatMap((program) =>
      usersOf(host, known, program, this.#families.ownersOf(program.trace)),
    );
    return [...new Set(found.map(({ name }) => name))].filter((name) => !closure.hasUser(name));
  }

  /**
   * Returns the packages of the programs, of their interpreters if they are scripts, of the
   * libraries that they load or open by name, and of programs of their dependencies that they start
   * by name; each with its family.
   */
  #familyOf(requested: readonly FoundProgram[]): Set<InstalledPackage> {
    const closure = this.#closure;
    const base = this.#families.base();
    const owners = requested.flatMap((program) => this.#ownersOf(program));
    const interpreters = closure.withReason('shebang', 'env');
    const others = [...this.#database.ownersOf([...interpreters, ...closure.withReason('needed')])];
    const linked = others.flatMap(([, found]) => found).filter((owner) => !base.has(owner));
    const running = [...this.#database.ownersOf(interpreters).values()].flat();
    this.#started.noteMentions(requested);
    const scripts = requested.filter(
      ({ trace }) => closure.read(trace.stat.identity).elf === undefined,
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
    const named =
      isFew && this.#started.isDriver(member)
        ? wordsInData(this.#sysroot.probe, wanted)
        : undefined;
    const reason = { kind: 'package', name: member.name } as const;
    const missing: string[] = [];
    let found = 0;
    for (const path of wanted) {
      if (isFew && !this.#isStarted(path) && !named?.has(baseName(path))) continue;
      const trace = this.#sysroot.trace(path);
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

  /** Returns whether a file is not a program, or is a requested or mentioned one. */
  #isStarted(path: string): boolean {
    const [, name] = PROGRAM.exec(path) ?? [];
    return name === undefined || this.#closure.has(path) || this.#started.isMentioned(name);
  }

  #incomplete({ name }: InstalledPackage, problem: string, isFatal: boolean): void {
    const message = `package ${name}: ${problem}`;
    if (isFatal) throw new JailbuildError('PACKAGE_INCOMPLETE', message, name);
    this.#warnings.push(message);
  }

  #addAlternatives(path: string, { name }: InstalledPackage): void {
    for (const link of this.#alternatives(path)) {
      const trace = this.#sysroot.trace(link);
      if (isTrace(trace) && isRunTimeFile(link)) this.#added.add(trace, { kind: 'package', name });
    }
  }

  #addUnowned(packages: ReadonlySet<InstalledPackage>): void {
    const [first] = packages;
    if (first === undefined) return;
    const isWanted = (path: string) => this.#request.packageDocs || isRunTimeFile(path);
    const unowned = new UnownedFiles(this.#sysroot, this.#database, this.#families);
    for (const path of unowned.in(packages, isWanted)) {
      // Links of alternatives are added with their targets.
      if (path.startsWith(`${ALTERNATIVES}/`)) continue;
      const trace = this.#sysroot.trace(path);
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

  /** Adds the empty files of state that the installations of packages made, and declared directories. */
  #addState(family: ReadonlySet<InstalledPackage>): void {
    for (const member of family) {
      const made = madeState(this.#sysroot, member, this.#database);
      const declared = declaredDirectories(this.#sysroot, member, this.#database);
      for (const file of [...made, ...declared]) {
        this.#added.add(file, { kind: 'package', name: member.name }, member);
      }
    }
  }

  /** Adds the configuration that installations of packages made and chose among alternatives. */
  #addChosen(family: ReadonlySet<InstalledPackage>): void {
    for (const member of family) {
      for (const file of madeConfiguration(this.#sysroot, member, this.#database)) {
        if (this.#alternatives(file.path).length === 0) continue;
        this.#added.add(file, { kind: 'package', name: member.name }, member);
        this.#addAlternatives(file.path, member);
      }
    }
  }
}
