import { unmerged } from '../../evidence/packages/aliases.js';
import type { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { FoundProgram } from '../find-program.js';
import { isLibraryDirectory } from '../usage/file-kinds.js';
import { madeConfiguration } from '../usage/made-configuration.js';
import { madeCaches } from '../usage/made-state.js';
import { scriptDirectories } from '../usage/named-paths.js';
import { runsCommandLines, startedShell, startsByName, startsPrograms } from '../usage/shell.js';
import type { AddedFiles, PackageSources } from './added-files.js';
import { addAuthentication } from './authentication.js';
import type { ClosureSoFar } from './closure-so-far.js';
import { addDependentConfiguration } from './dependent-configuration.js';
import { LibraryData } from './library-data.js';
import { NamedPrograms } from './named-programs.js';
import { OwnData } from './own-data.js';
import { usualCharsets } from './usual-charsets.js';

/** Directories that every system has, and jails need not. */
const TEMPORARY = ['/var/tmp', '/var/lock'];
/** A file that a running program makes (hier(7)), and its directory. */
const OF_PROCESS = /^(\/(?:var\/)?run)\/[^/]+\.(?:pid|lock|sock)$/;

/** Adds what programs and libraries name in their data from other packages. */
export class NamedParts {
  readonly #sources: PackageSources;
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #added: AddedFiles;
  readonly #data: OwnData;
  readonly #programs: NamedPrograms;
  readonly #libraries: LibraryData;
  /** Character sets and locales that the programs need. */
  readonly charsets = new Set<string>();
  readonly locales = new Set<string>();

  constructor(sources: PackageSources, added: AddedFiles) {
    this.#sources = sources;
    this.#sysroot = sources.sysroot;
    this.#closure = sources.closure;
    this.#database = sources.database;
    this.#families = sources.families;
    this.#added = added;
    this.#data = new OwnData(sources, added);
    this.#programs = new NamedPrograms(sources, this.#data);
    this.#libraries = new LibraryData(sources, added, this.#data);
  }

  /** Adds what programs name from packages that theirs depend on, or whose libraries they load. */
  addNamed(
    requested: readonly FoundProgram[],
    family: ReadonlySet<InstalledPackage>,
    brought: ReadonlySet<InstalledPackage>,
  ): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const objects = this.#ownObjects(requested, family);
    const named = objects.flatMap((object) => {
      const { elf, facts } = closure.read(object.stat.identity);
      if (elf === undefined) {
        this.#programs.addQuoted(object);
        this.#addDirectories(scriptDirectories(sysroot, object), object);
        return [];
      }
      const paths = this.#data.namedBy(object, elf);
      const strings = closure.stringsOf(sysroot.probe, object, elf).paths;
      this.#addDirectories(strings, object);
      this.#addCaches(strings, object, family);
      const imports = facts?.imports ?? [];
      this.#programs.addShell(startedShell(imports, paths), object.path);
      if (runsCommandLines(imports)) this.#programs.addCommands(object, elf);
      if (startsByName(imports)) this.#programs.addOriginal(object);
      if (imports.includes('OSSL_PROVIDER_load')) this.#libraries.addProviders(object, elf);
      if (imports.includes('setlocale') && imports.includes('nl_langinfo')) {
        this.locales.add('C.UTF-8');
      }
      const starts = startsPrograms(imports);
      return paths.map((path) => ({ ...path, by: object.path, starts }));
    });
    for (const set of usualCharsets(objects, this.#sources)) this.charsets.add(set);
    const absent = named.filter(
      ({ trace }) => trace.stat.type === 'directory' || !closure.has(trace.path),
    );
    const owners = this.#database.ownersOf([...new Set(absent.map(({ trace }) => trace.path))]);
    const allowed = this.#allowedOwners(family);
    const own = new Map(requested.map(({ trace }) => [trace.path, trace]));
    this.#libraries.add(family);
    this.#addConfigured(requested);
    for (const program of requested) {
      addAuthentication(program, this.#sources, this.#added, this.#data);
    }
    for (const { name, trace, by, starts } of absent) {
      const among = owners.get(trace.path) ?? [];
      if (starts && among.some(({ isEssential }) => isEssential)) {
        this.#programs.addAtPath(name, by);
      }
      const isOnly = own.has(by) && among.length === 1;
      const owner = among.find(
        (item) =>
          (allowed.has(item) || (isOnly && this.#families.isData(item))) && !brought.has(item),
      );
      const program = own.get(by);
      if (owner === undefined && program !== undefined) {
        addDependentConfiguration({ program, directory: trace, among }, this.#sources, this.#added);
      }
      if (owner === undefined || !isRunTimeFile(trace.path)) continue;
      if (isLibraryDirectory(trace.path)) continue;
      const found = sysroot.trace(name);
      if (!isTrace(found)) continue;
      this.#added.addTree(found, { kind: 'named', by, package: owner.name }, owner, among);
    }
  }

  /** Adds what the installation made of the data that a program names. */
  #addCaches(named: readonly string[], by: Trace, family: ReadonlySet<InstalledPackage>): void {
    const isOwn = (owner: InstalledPackage) => family.has(owner);
    for (const file of madeCaches(this.#sysroot, named, isOwn, this.#database)) {
      const [owner] = this.#families.ownersOf(by);
      if (owner === undefined) continue;
      this.#added.add(file, { kind: 'named', by: by.path, package: owner.name });
    }
  }

  /** Adds directories for files that a program names and makes, without their content. */
  #addDirectories(named: readonly string[], { path: by }: Trace): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const paths = [
      ...TEMPORARY.filter((path) => named.includes(path)),
      ...named.flatMap((name) => OF_PROCESS.exec(name)?.[1] ?? []),
    ];
    for (const path of new Set(paths)) {
      const found = sysroot.trace(path);
      if (!isTrace(found) || found.stat.type !== 'directory') continue;
      closure.add(found, { kind: 'named', by, package: 'base-files' });
    }
  }

  /** Adds what programs and libraries name of the configuration that installations made. */
  #addConfigured(requested: readonly FoundProgram[]): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const base = this.#families.base();
    const paths = [...requested.map(({ trace }) => trace.path), ...closure.withReason('needed')];
    for (const [path, owners] of this.#database.ownersOf(paths)) {
      const made = owners
        .filter((owner) => !base.has(owner))
        .flatMap((owner) => madeConfiguration(sysroot, owner, this.#database))
        .filter((file) => !closure.has(file.path));
      const object = sysroot.trace(path);
      if (made.length === 0 || !isTrace(object)) continue;
      const { elf } = closure.read(object.stat.identity);
      if (elf === undefined) continue;
      const named = new Set(this.#data.namedBy(object, elf).map(({ trace }) => trace.path));
      const [owner] = owners;
      for (const file of made) {
        if (owner === undefined || !named.has(file.path)) continue;
        this.#added.add(file, { kind: 'named', by: path, package: owner.name });
      }
    }
  }

  /** Returns the requested programs, and their libraries from their own packages. */
  #ownObjects(requested: readonly FoundProgram[], family: ReadonlySet<InstalledPackage>): Trace[] {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const own = new Set([...family].flatMap((member) => this.#database.filesOf(member) ?? []));
    const libraries = closure.withReason('needed').flatMap((path) => {
      const trace = sysroot.trace(path);
      return isTrace(trace) && trace.stat.type === 'file' && isListed(own, path) ? [trace] : [];
    });
    return [...requested.map(({ trace }) => trace), ...libraries];
  }

  #allowedOwners(family: ReadonlySet<InstalledPackage>): ReadonlySet<InstalledPackage> {
    const closure = this.#closure;
    const base = this.#families.base();
    const linked = [...this.#database.ownersOf(closure.withReason('needed')).values()].flat();
    const all = [
      ...this.#families.dependencies(family, Number.POSITIVE_INFINITY),
      ...linked.filter((owner) => !base.has(owner)),
    ];
    return new Set(all);
  }
}

/** Returns whether packages list a file, also by its path before the merge of /usr. */
function isListed(own: ReadonlySet<string>, path: string): boolean {
  return own.has(path) || own.has(unmerged(path));
}
