import type { ElfFile } from '../../elf/types.js';
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
import { moduleDirectories, openerImports, worksThrough } from '../usage/library-modules.js';
import type { AddedFiles, PackageSources } from './added-files.js';
import type { ClosureSoFar } from './closure-so-far.js';
import type { OwnData } from './own-data.js';

/** Data in a directory of its own. */
const SHARED = /^\/usr\/share\/[^/]+\/./;

/** Adds the modules and tables of libraries. */
export class LibraryData {
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #added: AddedFiles;
  readonly #data: OwnData;

  constructor(
    { sysroot, closure, database, families }: PackageSources,
    added: AddedFiles,
    data: OwnData,
  ) {
    this.#sysroot = sysroot;
    this.#closure = closure;
    this.#database = database;
    this.#families = families;
    this.#added = added;
    this.#data = data;
  }

  /**
   * Adds what libraries name from the data of their own packages: modules, and for libraries of other
   * packages than the programs' scripts and tables.
   */
  add(family: ReadonlySet<InstalledPackage>): void {
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
      this.#data.add(library, elf, owner, ({ name }) => SHARED.test(name));
    }
  }

  /** Adds the providers of OpenSSL that a program or library loads by name. */
  addProviders(object: Trace, elf: ElfFile): void {
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

  #hasData(owner: InstalledPackage): boolean {
    const listed = this.#database.filesOf(owner) ?? [];
    return (
      listed.some((file) => SHARED.test(file) && isRunTimeFile(file)) ||
      moduleDirectories(this.#database, owner).length > 0
    );
  }
}
