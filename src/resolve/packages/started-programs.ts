import path from 'node:path';
import { isStatic } from '../../elf/static.js';
import type { ElfFile } from '../../elf/types.js';
import type { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import type { FoundProgram } from '../find-program.js';
import { type Mentions, scriptMentions } from '../usage/named-paths.js';
import { PROGRAM, programsOf } from '../usage/package-programs.js';
import { startsByName, startsPrograms } from '../usage/shell.js';
import type { AddedFiles, PackageSources } from './added-files.js';
import type { ClosureSoFar } from './closure-so-far.js';

/** A program that is found through a link, if at all. */
const IN_OWN_DIRECTORY = /^\/usr\/lib\/.*\/bin\/[^/]+$/;
/** The maximum number of files of a package that only depends on others, such as a link to one. */
const MAX_META = 2;
/** Shorter names, in characters, are ends of others by chance. */
const MIN_END = 4;
/** The C library, through which all programs could start others. */
const LIBC = /^libc\.(so|musl)\b/;
/** A module in the language of a script, or in one that programs embed. */
const SOURCE = /^\/usr\/(lib|share)\/.*\.(lua|p[lmy]|php|rb|scm|tcl)$/;
/** The maximum number of modules of packages that are searched for names of programs. */
const MAX_SOURCES = 64;
/** What may be a program that only others of its package start. */
const STAGE = /^\/usr\/lib(?:exec)?\/[^/]+\/(?:.*\/)?[^/.]+$/;
/** The maximum number of such programs that are searched for names of others. */
const MAX_STAGES = 8;

/** Finds the packages whose programs others start. */
export class StartedPrograms {
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #added: AddedFiles;
  readonly #alternatives: (path: string) => readonly string[];
  /** For each program, the names by which it may start others. */
  readonly #mentions: Mentions[] = [];
  readonly #mentioned = new Map<string, boolean>();
  /** Packages that a compiler starts which a program starts: with all their programs. */
  readonly #whole = new Set<InstalledPackage>();
  /** Packages of requested programs and shell scripts that look up others on PATH. */
  readonly #drivers = new Set<InstalledPackage>();

  /** @param alternatives returns the links to a file that is chosen among alternatives */
  constructor(
    { sysroot, closure, database, families }: PackageSources,
    added: AddedFiles,
    alternatives: (path: string) => readonly string[],
  ) {
    this.#sysroot = sysroot;
    this.#closure = closure;
    this.#database = database;
    this.#families = families;
    this.#added = added;
    this.#alternatives = alternatives;
  }

  /** Returns whether all programs of a package may be started. */
  isWhole(member: InstalledPackage): boolean {
    return this.#whole.has(member);
  }

  /** Returns whether programs of a package look up others on PATH. */
  isDriver(member: InstalledPackage): boolean {
    return this.#drivers.has(member);
  }

  /**
   * Returns the packages of programs that packages start, and those that these start in turn, each
   * with its family: aclocal starts autom4te, which starts m4.
   *
   * @param depth the number of steps to follow
   */
  startedThrough(own: ReadonlySet<InstalledPackage>, depth: number): Set<InstalledPackage> {
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
      this.noteMentions(this.#addMentioned(direct));
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
        if (name === undefined || !this.isMentioned(name)) continue;
        const trace = this.#sysroot.trace(file);
        if (!isTrace(trace) || trace.stat.type !== 'file') continue;
        this.#added.add(trace, { kind: 'package', name: member.name }, member);
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
        ?.some((file) => this.#namesOf(file).some((name) => isCompiler || this.isMentioned(name))),
    );
  }

  /**
   * Returns the packages of programs that libraries start for those that load them, of dependencies
   * of the libraries: gpg for libgpgme. Packages that are no members of the family yet are new.
   */
  startedByLibraries(
    family: ReadonlySet<InstalledPackage>,
  ): { readonly member: InstalledPackage; readonly isNew: boolean }[] {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const base = this.#families.base();
    const started: { member: InstalledPackage; isNew: boolean }[] = [];
    for (const [path, owners] of this.#database.ownersOf(closure.withReason('needed'))) {
      const owner = owners.find((item) => !base.has(item) && !family.has(item));
      const library = sysroot.trace(path);
      if (owner === undefined || !isTrace(library)) continue;
      const { elf, facts } = closure.read(library.stat.identity);
      if (elf === undefined || !startsPrograms(facts?.imports ?? [])) continue;
      // A suite is a package that depends on its parts: gnupg.
      const near = [...this.#families.dependencies([owner], 2)].filter(
        (other) => programsOf(other, this.#database).length > 0,
      );
      if (near.length === 0) continue;
      const mentions = closure.namesIn(sysroot, library, elf);
      for (const member of near) {
        const names = new Set(programsOf(member, this.#database).filter((name) => mentions(name)));
        if (names.size === 0) continue;
        this.#mentions.push((name) => names.has(name));
        this.#mentioned.clear();
        started.push({ member, isNew: !family.has(member) });
      }
    }
    return started;
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
    const directories = new Set(listed.map((file) => path.posix.dirname(file)));
    const files = listed.filter((file) => !directories.has(file) && isRunTimeFile(file));
    return files.length <= MAX_META;
  }

  /** Returns the names by which a program is found, also by an alternative; none for other files. */
  #namesOf(file: string): string[] {
    const [, name] = PROGRAM.exec(file) ?? [];
    if (name !== undefined) return [name];
    if (!IN_OWN_DIRECTORY.test(file)) return [];
    return this.#alternatives(file).flatMap((link) => PROGRAM.exec(link)?.[1] ?? []);
  }

  /** Records the names by which programs may start others. */
  noteMentions(requested: readonly FoundProgram[]): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    this.#mentioned.clear();
    for (const { trace } of requested) {
      const { elf, facts } = closure.read(trace.stat.identity);
      const isShellScript = closure.isShellScript(trace.path);
      if (isShellScript || startsByName(facts?.imports ?? [])) {
        for (const owner of this.#families.ownersOf(trace)) {
          if (!owner.isEssential) this.#drivers.add(owner);
        }
      }
      if (elf === undefined) {
        this.#mentions.push(scriptMentions(sysroot, trace));
        const owners = this.#families.ownersOf(trace);
        if (!isShellScript) this.#mentions.push(...this.#mentionsOfModules(owners));
      } else if (startsPrograms(facts?.imports ?? []) || this.#startsByLibrary(elf)) {
        this.#mentions.push(closure.namesIn(sysroot, trace, elf));
        // Linkers merge strings that are ends of others, such as `diff` in `sdiff`.
        const own = baseName(trace.path);
        this.#mentions.push((name) => name.length >= MIN_END && own.endsWith(name));
        // Most of a program may be in the language that it embeds, as data of its source package.
        this.#mentions.push(
          ...this.#mentionsOfModules(this.#families.companionsOf(this.#families.ownersOf(trace))),
        );
      } else if (isStatic(elf)) {
        this.#mentions.push(closure.namesIn(sysroot, trace, elf), ...this.#mentionsOfStages(trace));
      }
    }
  }

  /**
   * Adds the static programs in directories of a static program's own package, and returns what they
   * mention: it may start them by computed names, and its imports do not show whether they start
   * others.
   */
  #mentionsOfStages(driver: Trace): Mentions[] {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const found: Mentions[] = [];
    for (const owner of this.#families.ownersOf(driver)) {
      for (const file of this.#database.filesOf(owner) ?? []) {
        if (found.length === MAX_STAGES) return found;
        const trace = STAGE.test(file) ? sysroot.trace(file) : undefined;
        if (trace === undefined || !isTrace(trace)) continue;
        if (trace.stat.type !== 'file' || (trace.stat.mode & 0o111) === 0) continue;
        this.#added.add(trace, { kind: 'package', name: owner.name }, owner);
        const { elf } = closure.read(trace.stat.identity);
        if (elf !== undefined && isStatic(elf)) found.push(closure.namesIn(sysroot, trace, elf));
      }
    }
    return found;
  }

  /** Returns what the modules of a program's packages mention, in which most of it may be. */
  #mentionsOfModules(owners: readonly InstalledPackage[]): Mentions[] {
    const sysroot = this.#sysroot;
    const modules = owners
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
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const wanted = new Set(elf.dynamic?.needed ?? []);
    return closure.withReason('needed').some((path) => {
      const library = sysroot.trace(path);
      if (!isTrace(library)) return false;
      const { elf: read, facts } = closure.read(library.stat.identity);
      const name = read?.dynamic?.soname ?? baseName(path);
      return wanted.has(name) && !LIBC.test(name) && startsPrograms(facts?.imports ?? []);
    });
  }

  /** Returns whether a program may start another by a name. */
  isMentioned(name: string): boolean {
    // One letter is rather a mode of fopen(3) than a program.
    if (name.length === 1) return false;
    let known = this.#mentioned.get(name);
    if (known === undefined) {
      known = this.#mentions.some((mentions) => mentions(name));
      this.#mentioned.set(name, known);
    }
    return known;
  }
}
