import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { type InstalledPackage, type PackageDatabase, sourceOf } from './package.js';

const PROGRAM = /^(\/usr)?\/s?bin\/./;
/** A program, also of a package with directories of its own. */
const BINARY = /\/s?bin\/[^/]+$/;
/** A program that makes the caches of its package's data, by the convention for its name. */
const UPDATES = /^(\/usr)?\/s?bin\/update-[^/]+$/;
/** A program that helps to build packages (debhelper(7)). */
const BUILDS = /^\/usr\/bin\/dh_[^/]+$/;
const OBJECT = /\.so$/;
/** A description of a library, by which scripts call it (GObject introspection). */
const TYPELIB = /\/girepository-[\d.]+\/[^/]+\.typelib$/;
/** Libraries where the loader looks for them. */
const LINKED = /^(\/usr)?\/lib(32|64|x32)?(\/[^/]+-linux-[^/]+)?\/[^/]+\.so[.\d]*$/;
/** Sections of packages with modules in a language that has an interpreter (Debian policy, 2.4). */
export const LANGUAGES = /(^|\/)(java|javascript|lisp|perl|php|python|ruby)$/;
/** Headers of the system, or of one that a compiler builds for: `/usr/aarch64-linux-gnu/include`. */
const HEADER = /^\/usr\/([^/]+-linux-[^/]+\/)?include\/.*\.h$/;
const OWN_HEADER = /^\/usr\/lib(32|64|exec)?\/.*\/include\/.*\.h$/;

/** Relations between the packages of a database. */
export class PackageFamilies {
  readonly #sysroot: Sysroot;
  readonly #database: PackageDatabase;
  #base: ReadonlySet<InstalledPackage> | undefined;

  constructor(sysroot: Sysroot, database: PackageDatabase) {
    this.#sysroot = sysroot;
    this.#database = database;
  }

  /** Returns the owners of a file and of each symbolic link that leads to it. */
  ownersOf(trace: Trace): InstalledPackage[] {
    const paths = [...trace.links.filter(({ last }) => last).map(({ path }) => path), trace.path];
    return [...new Set([...this.#database.ownersOf(paths).values()].flat())];
  }

  /**
   * Returns packages with their relatives: those of the same source that they depend on, recommend
   * or suggest, since a source is split to make parts optional, not because each works alone; the
   * data packages that they depend on (architecture-independent ones), or of which they recommend one
   * of several: dictionaries; the modules that packages of scripts and other modules depend on, also
   * with programs; and descriptions of libraries that these or other descriptions depend on.
   *
   * @param scripted packages of scripts besides those for all architectures
   */
  family(
    packages: Iterable<InstalledPackage>,
    scripted: readonly InstalledPackage[] = [],
  ): Set<InstalledPackage> {
    const members = new Set(packages);
    for (const member of members) {
      const { depends, recommends, suggests } = member;
      for (const other of this.#related(member, [...depends, ...recommends, ...suggests])) {
        if (sourceOf(other) === sourceOf(member)) members.add(other);
      }
      for (const other of this.#related(member, depends)) {
        // Whether a package has modules is asked last: it may take a look at each of them.
        const isOfScripts = () =>
          isForAll(member) || scripted.includes(member) || this.#isModules(member);
        const isModules = () => isOfLanguage(other) || this.#isModules(other);
        if (this.isData(other) || (isOfScripts() && isModules())) members.add(other);
        else if (
          this.#hasFile(other, TYPELIB) &&
          (this.#hasFile(member, TYPELIB) || isOfScripts())
        ) {
          members.add(other);
        }
      }
      // What has alternatives is something that the package does not work without.
      const choices = recommends.filter((alternatives) => alternatives.length > 1);
      for (const other of this.#related(member, choices)) {
        if (this.isData(other)) members.add(other);
      }
    }
    return members;
  }

  /**
   * Returns the packages that packages of loaded libraries require beside the libraries:
   * dependencies of the same source, and data packages.
   */
  companions(libraries: ReadonlySet<InstalledPackage>): Set<InstalledPackage> {
    const found = new Set<InstalledPackage>();
    const front = [...libraries];
    for (const member of front) {
      for (const other of this.#related(member, member.depends)) {
        if (libraries.has(other) || found.has(other) || this.base().has(other)) continue;
        if (sourceOf(other) !== sourceOf(member) && !this.isData(other)) continue;
        found.add(other);
        front.push(other);
      }
    }
    return found;
  }

  /**
   * Returns the packages of libraries that modules without machine code open by name (FFI, ctypes,
   * introspection): those that their packages depend on, also as links for compilers; nothing else
   * would use them.
   */
  openedLibraries(family: Iterable<InstalledPackage>): Set<InstalledPackage> {
    const found = new Set<InstalledPackage>();
    for (const member of family) {
      if (!isOfLanguage(member) && !this.#hasFile(member, TYPELIB)) continue;
      for (const other of this.#related(member, member.depends)) {
        if (!this.base().has(other) && this.#hasFile(other, LINKED)) found.add(other);
      }
    }
    return found;
  }

  /** Returns the packages of libraries that these may load, directly or through each other. */
  librariesOf(packages: Iterable<InstalledPackage>): Set<InstalledPackage> {
    const needed = this.dependencies(packages, Number.POSITIVE_INFINITY);
    return new Set([...needed].filter((other) => this.#hasFile(other, LINKED)));
  }

  /**
   * Returns the packages of the same source that these depend on, directly or through each other,
   * including base packages.
   */
  companionsOf(owners: readonly InstalledPackage[]): InstalledPackage[] {
    const members = new Set(owners);
    for (const member of members) {
      for (const other of this.#related(member, member.depends)) {
        if (sourceOf(other) === sourceOf(member)) members.add(other);
      }
    }
    return [...members].slice(owners.length);
  }

  /**
   * Returns the programs that a wrapper starts by the names of links to it, of packages that depend
   * on its own: `/usr/lib/postgresql/15/bin/psql` for `/usr/bin/psql`, a link to `pg_wrapper`.
   */
  startedBehind(wrapper: Trace): { readonly file: string; readonly owner: InstalledPackage }[] {
    const links = wrapper.links.filter(({ last }) => last).map(({ path }) => baseName(path));
    const names = new Set(links.filter((name) => name !== baseName(wrapper.path)));
    if (names.size === 0) return [];
    return this.ownersOf(wrapper)
      .flatMap((owner) => this.#database.dependentsOf(owner))
      .flatMap((owner) => {
        const listed = this.#database.filesOf(owner) ?? [];
        const started = listed.filter((file) => BINARY.test(file) && names.has(baseName(file)));
        return started.map((file) => ({ file, owner }));
      });
  }

  /**
   * Returns whether a package has neither machine code nor programs but those that update its data
   * or help to build packages: modules, fonts, descriptions, update-mime-database.
   */
  isData(member: InstalledPackage): boolean {
    if (this.base().has(member)) return false;
    const listed = this.#database.filesOf(member) ?? [];
    const programs = listed.filter((file) => PROGRAM.test(file) && !BUILDS.test(file));
    if (!programs.every((file) => UPDATES.test(file))) return false;
    if (isForAll(member)) return true;
    return programs.length > 0 && !this.#hasFile(member, OBJECT) && !this.#hasFile(member, LINKED);
  }

  /**
   * Whether a package has machine code for an interpreter: none to run, and none to link that is not
   * also a module through a link, as in packages of Lua modules.
   */
  #isModules(member: InstalledPackage): boolean {
    if (!this.#hasFile(member, OBJECT) || this.#hasFile(member, PROGRAM)) return false;
    if (!this.#hasFile(member, LINKED)) return true;
    const listed = this.#database.filesOf(member) ?? [];
    const modules = listed.filter((file) => OBJECT.test(file) && !LINKED.test(file));
    return modules.some((file) => {
      const found = this.#sysroot.trace(file);
      return isTrace(found) && LINKED.test(found.path);
    });
  }

  /**
   * Returns the packages that compilers use beside their own files: those with headers that these packages depend on or recommend, directly or indirectly.
   */
  headers(packages: ReadonlySet<InstalledPackage>): Set<InstalledPackage> {
    const found = new Set<InstalledPackage>();
    if (!this.isCompiler(packages)) return found;
    const front = [...packages];
    for (const member of front) {
      for (const other of this.#related(member, [...member.depends, ...member.recommends])) {
        if (found.has(other) || !this.#hasFile(other, HEADER)) continue;
        found.add(other);
        front.push(other);
      }
    }
    return found;
  }

  /**
   * Returns whether the packages include a compiler: compilers have headers in directories of their
   * own, others only in /usr/include.
   */
  isCompiler(packages: ReadonlySet<InstalledPackage>): boolean {
    return [...packages].some((member) => this.#hasFile(member, OWN_HEADER));
  }

  #hasFile(member: InstalledPackage, pattern: RegExp): boolean {
    return this.#database.filesOf(member)?.some((file) => pattern.test(file)) ?? false;
  }

  /**
   * Returns the dependencies of packages, without those of every system: essential packages and
   * their dependencies.
   *
   * @param depth the number of steps to follow; infinite for all
   * @param withBase whether to include packages of every system
   */
  dependencies(
    packages: Iterable<InstalledPackage>,
    depth: number,
    withBase = false,
  ): Set<InstalledPackage> {
    const found = new Set<InstalledPackage>();
    let front = [...packages];
    for (let step = 0; step < depth && front.length > 0; step++) {
      const next: InstalledPackage[] = [];
      for (const member of front) {
        for (const other of this.#related(member, member.depends)) {
          if (found.has(other) || (!withBase && this.base().has(other))) continue;
          found.add(other);
          next.push(other);
        }
      }
      front = next;
    }
    return found;
  }

  /** Returns the essential packages with all their dependencies. */
  base(): ReadonlySet<InstalledPackage> {
    if (this.#base === undefined) {
      const base = new Set(this.#database.essentials());
      for (const member of base) {
        for (const other of this.#related(member, member.depends)) base.add(other);
      }
      this.#base = base;
    }
    return this.#base;
  }

  /** Returns whether a package has a program that makes the caches of data. */
  hasUpdater(member: InstalledPackage): boolean {
    return this.#hasFile(member, UPDATES);
  }

  /** Of alternatives, the first one that is installed satisfies a relation. */
  #related(
    member: InstalledPackage,
    relations: readonly (readonly string[])[],
  ): InstalledPackage[] {
    const found = relations.flatMap((alternatives) => {
      for (const name of alternatives) {
        const providers = this.#database.providersOf(name);
        if (providers.length > 0) return providers;
      }
      return [];
    });
    return [...new Set(found)].filter((other) => other !== member);
  }
}

/** Whether a package has modules in a language with an interpreter, and no machine code. */
function isOfLanguage(member: InstalledPackage): boolean {
  return isForAll(member) && LANGUAGES.test(member.section ?? '');
}

/** Whether a package is for all architectures: it has no machine code. */
function isForAll({ architecture }: InstalledPackage): boolean {
  return architecture === 'all' || architecture === 'noarch';
}
