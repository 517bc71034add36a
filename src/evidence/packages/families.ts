import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { type InstalledPackage, type PackageDatabase, sourceOf } from './package.js';

/** Names of secrets beside a package's files: never copied. */
const SECRET = /(^ssh_host_.*|[._-]key|\.pem|^shadow.*|^gshadow.*|^secrets?)$/;
/** Directories of program state, whose files no package installed. */
const STATE = /^\/(var|run|tmp|home|root|srv)(\/|$)/;
/** Bounds nested directories, so that links cannot make the search endless. */
const MAX_DEPTH = 12;

const PROGRAM = /^(\/usr)?\/s?bin\/./;
/** A program, also of a package with directories of its own. */
const BINARY = /\/s?bin\/[^/]+$/;
/** A program that makes the caches of its package's data, by the convention for its name. */
const UPDATES = /^(\/usr)?\/s?bin\/update-[^/]+$/;
/** A program that helps to build packages (debhelper(7)). */
const BUILDS = /^\/usr\/bin\/dh_[^/]+$/;
const OF_DATA = /^\/usr\/share\/./;
/** State that programs make from data of packages, as well as that of services. */
const MADE_STATE = /^\/var\/(lib|cache)\/./;
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

/**
 * Relations between the packages of a database, and the files that belong to packages beyond their
 * lists.
 */
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

  /**
   * Returns the files that no package owns in directories that only these packages own, or that one of
   * them updates: caches, links and configuration made during installation; and caches beside shared
   * data of these packages: gschemas.compiled. Of state, which may be the host's, only what packages of
   * data make. Skips secrets and files that not everyone may read.
   *
   * @param isWanted skips paths, and directories with all their content
   */
  unownedFiles(
    packages: ReadonlySet<InstalledPackage>,
    isWanted: (path: string) => boolean,
  ): string[] {
    const listed = [...packages].flatMap(
      (member) => this.#database.filesOf(member)?.filter(isWanted) ?? [],
    );
    const own = new Set<string>();
    const directories = new Set<string>();
    for (const file of listed) {
      const found = this.#sysroot.trace(file);
      if (!isTrace(found)) continue;
      own.add(found.path);
      for (const { path } of found.links) own.add(path);
      if (found.stat.type !== 'directory') continue;
      if (!STATE.test(found.path) || MADE_STATE.test(found.path)) directories.add(found.path);
    }
    const owners = this.#database.ownersOf([...directories]);
    const candidates: string[] = [];
    for (const directory of directories) {
      if (OF_DATA.test(directory)) candidates.push(...this.#cachesIn(directory, own));
      const among = owners.get(directory);
      if (among === undefined) continue;
      if (
        STATE.test(directory) &&
        !among.some((owner) => this.isData(owner) && this.#hasFile(owner, UPDATES))
      ) {
        continue;
      }
      // A package that updates its data makes caches beside the data of others.
      const isMade =
        OF_DATA.test(directory) &&
        among.some((owner) => packages.has(owner) && this.#hasFile(owner, UPDATES));
      if (!isMade && among.some((owner) => !packages.has(owner))) continue;
      candidates.push(...this.#unlisted(directory, own));
    }
    const owned = this.#database.ownersOf(candidates);
    return candidates
      .filter((path) => !owned.has(path))
      .flatMap((path) => this.#below(path, 0).filter(isWanted));
  }

  /**
   * Returns the files beside own ones of a directory that are of another form than all of these, as
   * caches are; other files of the same form are for other programs.
   */
  #cachesIn(directory: string, own: ReadonlySet<string>): string[] {
    const found = this.#sysroot.trace(directory);
    if (!isTrace(found)) return [];
    const isFile = (path: string): boolean => {
      const trace = this.#sysroot.trace(path);
      return isTrace(trace) && trace.links.length === 0 && trace.stat.type === 'file';
    };
    const names = this.#sysroot.list(found);
    const forms = new Set<string>();
    const others: string[] = [];
    for (const name of names) {
      const path = `${directory}/${name}`;
      if (!own.has(path)) others.push(path);
      else if (isFile(path)) forms.add(formOf(name));
    }
    if (forms.size === 0) return [];
    return others.filter((path) => !forms.has(formOf(baseName(path))) && isFile(path));
  }

  #unlisted(directory: string, own: ReadonlySet<string>): string[] {
    const found = this.#sysroot.trace(directory);
    if (!isTrace(found)) return [];
    return this.#sysroot
      .list(found)
      .map((name) => `${directory}/${name}`)
      .filter((path) => !own.has(path));
  }

  #below(path: string, depth: number): string[] {
    if (SECRET.test(baseName(path)) || depth > MAX_DEPTH) return [];
    const found = this.#sysroot.trace(path);
    if (!isTrace(found) || (found.stat.mode & 0o004) === 0) return [];
    if (found.stat.type === 'file' || found.links.some(({ last }) => last)) return [path];
    if (found.stat.type !== 'directory') return [];
    return this.#sysroot.list(found).flatMap((name) => this.#below(`${path}/${name}`, depth + 1));
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

/** Returns the extension of a name, with its dot; empty if it has none. */
function formOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(dot);
}
