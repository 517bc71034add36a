import type { ElfFile } from '../../elf/types.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { type NamedPath, namedPaths } from '../usage/named-paths.js';
import type { AddedFiles, PackageSources } from './added-files.js';
import type { ClosureSoFar } from './closure-so-far.js';

/** What programs and libraries name in their data, and the part of it from their own packages. */
export class OwnData {
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #added: AddedFiles;

  constructor({ sysroot, closure, database }: PackageSources, added: AddedFiles) {
    this.#sysroot = sysroot;
    this.#closure = closure;
    this.#database = database;
    this.#added = added;
  }

  /** Returns the paths that a program or library names in its data. */
  namedBy(object: Trace, elf: ElfFile): NamedPath[] {
    const sysroot = this.#sysroot;
    const closure = this.#closure;
    return namedPaths(sysroot.probe, object, closure.stringsOf(sysroot.probe, object, elf));
  }

  /** Adds what a program or library names of its own package, as far as it is wanted. */
  add(
    object: Trace,
    elf: ElfFile,
    owner: InstalledPackage,
    isWanted: (path: NamedPath) => boolean,
  ): void {
    const named = this.namedBy(object, elf).filter(isWanted);
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
}
