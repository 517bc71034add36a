import type { ElfFile } from '../../elf/types.js';
import { unmerged } from '../../evidence/packages/aliases.js';
import type { PackageFamilies } from '../../evidence/packages/families.js';
import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { mentionedProviders, PROVIDER_LIBRARY } from '../data/openssl.js';
import type { FoundProgram } from '../find-program.js';
import { isLibraryDirectory } from '../usage/file-kinds.js';
import { moduleDirectories, openerImports, worksThrough } from '../usage/library-modules.js';
import { madeConfiguration } from '../usage/made-configuration.js';
import { madeCaches } from '../usage/made-state.js';
import {
  essentialCommands,
  type NamedPath,
  namedPaths,
  originalOf,
  quotedCommands,
  scriptDirectories,
} from '../usage/named-paths.js';
import { PROGRAM } from '../usage/package-programs.js';
import { PAM, PAM_LIBRARY, pamFiles } from '../usage/pam.js';
import {
  isShell,
  runsCommandLines,
  startedShell,
  startsByName,
  startsPrograms,
} from '../usage/shell.js';
import type { AddedFiles, PackageSources } from './added-files.js';
import type { ClosureSoFar } from './closure-so-far.js';
import { addDependentConfiguration } from './dependent-configuration.js';
import { usualCharsets } from './usual-charsets.js';

/** Data in a directory of its own. */
const SHARED = /^\/usr\/share\/[^/]+\/./;
/** Directories that every system has, and jails need not. */
const TEMPORARY = ['/var/tmp', '/var/lock'];
/** A file that a running program makes (hier(7)), and its directory. */
const OF_PROCESS = /^(\/(?:var\/)?run)\/[^/]+\.(?:pid|lock|sock)$/;
/** Data of a program, as a directory or a file in one. */
const OF_PROGRAM = /^\/usr\/share\/[^/]+(\/.*)?$/;
/** Configuration of PAM's modules. */
const OF_MODULES = /^\/etc\/(security\/[^/]+|environment|login\.defs)$/;

/** Adds what programs and libraries name in their data from other packages. */
export class NamedParts {
  readonly #sources: PackageSources;
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #added: AddedFiles;
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
        this.#addQuoted(object);
        this.#addDirectories(scriptDirectories(sysroot, object), object);
        return [];
      }
      const paths = this.#namedBy(object, elf);
      const strings = closure.stringsOf(sysroot.probe, object, elf).paths;
      this.#addDirectories(strings, object);
      this.#addCaches(strings, object, family);
      const imports = facts?.imports ?? [];
      this.#addShell(startedShell(imports, paths), object.path);
      if (runsCommandLines(imports)) this.#addCommands(object, elf);
      if (startsByName(imports)) this.#addOriginal(object);
      if (imports.includes('OSSL_PROVIDER_load')) this.#addProviders(object, elf);
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

  /** Adds a program of every system that another one names by path; shells are added as such. */
  #addNamedProgram(name: string, by: string): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    if (!PROGRAM.test(name) || isShell(name)) return;
    const trace = sysroot.trace(name);
    if (!isTrace(trace)) return;
    closure.addCommand(trace, { kind: 'command', by, name });
    const { elf } = closure.read(trace.stat.identity);
    const [owner] = this.#database.ownersOf([trace.path]).get(trace.path) ?? [];
    if (elf === undefined || owner === undefined) return;
    // Its own tables, which it may not work without.
    this.#addOwnData(trace, elf, owner, (data) => OF_PROGRAM.test(data.trace.path));
  }

  /** Adds what a program or library names of its own package, as far as it is wanted. */
  #addOwnData(
    object: Trace,
    elf: ElfFile,
    owner: InstalledPackage,
    isWanted: (path: NamedPath) => boolean,
  ): void {
    const named = this.#namedBy(object, elf).filter(isWanted);
    const listed = this.#database.ownersOf(named.map(({ trace }) => trace.path));
    for (const { name, trace } of named) {
      const among = listed.get(trace.path) ?? [];
      if (!among.includes(owner)) continue;
      const found = this.#sysroot.trace(name);
      if (!isTrace(found) || !isRunTimeFile(found.path)) continue;
      const reason = { kind: 'named', by: object.path, package: owner.name } as const;
      this.#added.addTree(found, reason, owner, among);
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

  /**
   * Adds what libraries name from the data of their own packages: modules, and for libraries of other
   * packages than the programs' scripts and tables.
   */
  #addDataOfLibraries(family: ReadonlySet<InstalledPackage>): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const base = this.#families.base();
    for (const [path, owners] of this.#database.ownersOf(closure.withReason('needed'))) {
      const owner = owners.find((item) => !base.has(item));
      if (owner === undefined || !this.#hasData(owner)) continue;
      const library = sysroot.trace(path);
      if (!isTrace(library)) continue;
      const { elf } = closure.read(library.stat.identity);
      if (elf === undefined) continue;
      // Other packages add modules to its directories, too.
      this.#addModules(owner, library, elf);
      if (family.has(owner)) continue;
      this.#addOwnData(library, elf, owner, ({ name }) => SHARED.test(name));
    }
  }

  /**
   * Adds the directories of modules of a library's own package whose names the library has in its data, or
   * through which it works: compilers put names into instructions, and libraries compose them.
   */
  #addModules(owner: InstalledPackage, library: Trace, elf: ElfFile): void {
    const sysroot = this.#sysroot;
    const directories = moduleDirectories(this.#database, owner);
    if (directories.length === 0) return;
    const imports = this.#openerImports(owner, library, elf);
    const mentions = this.#closure.namesIn(sysroot, library, elf);
    for (const directory of directories) {
      const found = sysroot.trace(directory.path);
      if (!isTrace(found)) continue;
      if (!mentions(baseName(directory.path)) && !worksThrough(directory, imports)) continue;
      const reason = { kind: 'named', by: library.path, package: owner.name } as const;
      this.#added.addTree(found, reason, owner);
    }
  }

  /** Returns the imports by which a library opens modules: see {@link openerImports}. */
  #openerImports(owner: InstalledPackage, library: Trace, elf: ElfFile): readonly string[] {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const own = closure.read(library.stat.identity).facts?.imports ?? [];
    const wanted = new Set(elf.dynamic?.needed ?? []);
    const siblings: (readonly string[])[] = [];
    for (const [path, owners] of this.#database.ownersOf(closure.withReason('needed'))) {
      if (!owners.some((other) => sourceOf(other) === sourceOf(owner))) continue;
      const found = sysroot.trace(path);
      const read = isTrace(found) ? closure.read(found.stat.identity) : undefined;
      const name = read?.elf?.dynamic?.soname;
      if (name !== undefined && wanted.has(name)) siblings.push(read?.facts?.imports ?? []);
    }
    return openerImports(own, siblings);
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
      const named = new Set(this.#namedBy(object, elf).map(({ trace }) => trace.path));
      const [owner] = owners;
      for (const file of made) {
        if (owner === undefined || !named.has(file.path)) continue;
        this.#added.add(file, { kind: 'named', by: path, package: owner.name });
      }
    }
  }

  /** Adds the providers of OpenSSL that a program or library loads by name. */
  #addProviders(object: Trace, elf: ElfFile): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const library = closure
      .withReason('needed')
      .find((path) => baseName(path) === PROVIDER_LIBRARY);
    if (library === undefined) return;
    const [owner] = this.#database.ownersOf([library]).get(library) ?? [];
    if (owner === undefined) return;
    const mentions = closure.namesIn(sysroot, object, elf);
    for (const provider of mentionedProviders(sysroot, library, mentions)) {
      this.#added.add(provider, { kind: 'named', by: object.path, package: owner.name });
    }
  }

  /** Adds what a program that authenticates through PAM needs, without passwords. */
  #addAuthentication({ trace }: FoundProgram): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const { elf, facts } = closure.read(trace.stat.identity);
    if (elf === undefined || facts?.imports.includes('pam_start') !== true) return;
    const library = closure.withReason('needed').find((path) => PAM_LIBRARY.test(path));
    if (library === undefined) return;
    const name = baseName(trace.path);
    const mentions = closure.namesIn(sysroot, trace, elf);
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
    for (const file of [...configuration, ...modules]) this.#added.add(file, reason);
    for (const module of modules) {
      const read = closure.read(module.stat.identity).elf;
      if (read === undefined) continue;
      for (const { name: path } of this.#namedBy(module, read)) {
        const found = OF_MODULES.test(path) ? sysroot.trace(path) : undefined;
        if (found !== undefined && isTrace(found)) this.#added.add(found, reason);
      }
    }
  }

  /** Returns the paths that a program or library names in its data. */
  #namedBy(object: Trace, elf: ElfFile): NamedPath[] {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    return namedPaths(sysroot.probe, object, closure.stringsOf(sysroot.probe, object, elf));
  }

  #hasData(owner: InstalledPackage): boolean {
    const listed = this.#database.filesOf(owner) ?? [];
    return (
      listed.some((file) => SHARED.test(file) && isRunTimeFile(file)) ||
      moduleDirectories(this.#database, owner).length > 0
    );
  }

  #addShell(shell: string | undefined, by: string): void {
    const trace = shell === undefined ? undefined : this.#sysroot.trace(shell);
    if (shell === undefined || trace === undefined || !isTrace(trace)) return;
    this.#closure.addProgram(trace, { kind: 'command', by, name: shell });
  }

  #addOriginal(object: Trace): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const name = baseName(object.path);
    const original = originalOf(sysroot, name, this.#database);
    if (original === undefined) return;
    const reason = { kind: 'command', by: object.path, name: baseName(original.path) } as const;
    closure.addCommand(original, reason);
  }

  /** Adds the basic programs that a script in a language other than the shell's runs by name. */
  #addQuoted(script: Trace): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    if (closure.isShellScript(script.path)) return;
    for (const [name, trace] of quotedCommands(sysroot, script, this.#database)) {
      closure.addCommand(trace, { kind: 'command', by: script.path, name });
      // As tar starts programs that compress.
      const { elf, facts } = closure.read(trace.stat.identity);
      const imports = facts?.imports ?? [];
      if (elf === undefined || !startsPrograms(imports)) continue;
      this.#addShell(startedShell(imports, this.#namedBy(trace, elf)), trace.path);
    }
  }

  #addCommands(object: Trace, elf: ElfFile): void {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    const { commands } = closure.stringsOf(sysroot, object, elf);
    for (const [name, trace] of essentialCommands(sysroot, object, commands, this.#database)) {
      closure.addCommand(trace, { kind: 'command', by: object.path, name });
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
