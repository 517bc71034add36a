import type { ElfFile } from '../../elf/types.js';
import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { ProgramStrings } from '../process/program-strings.js';
import { openerImports } from '../usage/library-modules.js';
import { type Mentions, type NamedPath, namedPaths } from '../usage/named-paths.js';
import { runsCommandLines } from '../usage/shell.js';
import type { AskedJail } from './jail-contents.js';
import type { MentionedNames } from './mentioned-names.js';

const LIBC = /\/(libc|libm|libpthread|libdl|librt|ld-[^/]*)\.so\.[\d.]+$/;

/** What is read of files, once for all programs. */
export interface FileContents {
  /** The root that contains the files. */
  readonly root: Sysroot;
  readonly strings: ProgramStrings;
  readonly mentions: MentionedNames;
}

/** The objects of which programs consist, and what they name. */
export class ProgramParts {
  readonly #probe: Sysroot;
  readonly #database: PackageDatabase | undefined;
  readonly #jail: AskedJail;
  readonly #contents: FileContents;
  readonly #objects = new Map<Trace, Trace[]>();
  /** Packages of libraries that were looked at, by path. */
  readonly #linked = new Map<string, readonly InstalledPackage[]>();
  /** Paths that objects name, by identity. */
  readonly #named = new Map<string, readonly NamedPath[]>();

  constructor(
    probe: Sysroot,
    database: PackageDatabase | undefined,
    jail: AskedJail,
    contents: FileContents,
  ) {
    this.#probe = probe;
    this.#database = database;
    this.#jail = jail;
    this.#contents = contents;
  }

  /**
   * Returns the program, and the libraries of its own source package that it needs, directly or
   * through each other; for an interpreter, which may embed another one, all that it needs.
   */
  objectsOf(program: Trace, owners: readonly InstalledPackage[]): readonly Trace[] {
    const known = this.#objects.get(program);
    if (known !== undefined) return known;
    const objects = [program];
    this.#objects.set(program, objects);
    if (owners.length === 0) return objects;
    const sources = new Set(owners.map(sourceOf));
    const embeds = owners.some(({ section }) => section === 'interpreters');
    const seen = new Set<string>();
    for (const object of objects) {
      const { elf } = this.#jail.read(object);
      for (const path of this.librariesOf(elf)) {
        if (seen.has(path)) continue;
        seen.add(path);
        if (!embeds && !this.isOfSource(path, sources)) continue;
        const library = this.#probe.trace(path);
        if (isTrace(library)) objects.push(library);
      }
    }
    return objects;
  }

  /** Returns the libraries that an object needs, without those of the C library. */
  librariesOf(elf: ElfFile | undefined): string[] {
    // A script runs programs with any of them.
    const libraries =
      elf === undefined
        ? this.#jail.libraries()
        : (elf.dynamic?.needed ?? []).flatMap((name) => this.#jail.library(name) ?? []);
    // The C library names paths on behalf of all programs.
    return libraries.filter((path) => !LIBC.test(path));
  }

  /** Returns the libraries that an object needs, and those of the same source packages that these need. */
  nearLibrariesOf(elf: ElfFile): Set<string> {
    const near = new Set(this.librariesOf(elf));
    for (const path of near) {
      const found = this.#probe.trace(path);
      const library = isTrace(found) ? this.#jail.read(found).elf : undefined;
      for (const other of library === undefined ? [] : this.librariesOf(library)) {
        if (!near.has(other) && this.#isOfOneSource(path, other)) near.add(other);
      }
    }
    return near;
  }

  /** Returns the imports by which a library opens modules: see {@link openerImports}. */
  openerImportsOf(library: Trace): readonly string[] {
    const { elf, facts } = this.#jail.read(library);
    const siblings = this.librariesOf(elf)
      .filter((other) => this.#isOfOneSource(library.path, other))
      .map((other) => this.#probe.trace(other));
    return openerImports(
      facts?.imports ?? [],
      siblings.map((other) => (isTrace(other) ? this.#jail.read(other).facts?.imports : []) ?? []),
    );
  }

  #isOfOneSource(one: string, other: string): boolean {
    return this.isOfSource(other, new Set(this.ownersOfLibrary(one).map(sourceOf)));
  }

  /** Returns the path of the library of a name if an object needs it, directly or through others. */
  loadedBy(elf: ElfFile, soname: string): string | undefined {
    const wanted = this.#jail.library(soname);
    if (wanted === undefined) return undefined;
    const seen = new Set(this.librariesOf(elf));
    for (const path of seen) {
      if (path === wanted) return path;
      const found = this.#probe.trace(path);
      const library = isTrace(found) ? this.#jail.read(found).elf : undefined;
      for (const other of library === undefined ? [] : this.librariesOf(library)) seen.add(other);
    }
    return undefined;
  }

  /** Returns the packages that a library belongs to. */
  ownersOfLibrary(path: string): readonly InstalledPackage[] {
    let owners = this.#linked.get(path);
    if (owners === undefined) {
      owners = this.#database?.ownersOf([path]).get(path) ?? [];
      this.#linked.set(path, owners);
    }
    return owners;
  }

  /** Returns whether a library is of one of the given source packages. */
  isOfSource(library: string, sources: ReadonlySet<string>): boolean {
    return this.ownersOfLibrary(library).some((owner) => sources.has(sourceOf(owner)));
  }

  /** Returns the first words of command lines in a program's data, if it runs such lines. */
  commandLinesOf(trace: Trace): readonly string[] {
    const { elf, facts } = this.#jail.read(trace);
    if (elf === undefined || !runsCommandLines(facts?.imports ?? [])) return [];
    const { root, strings } = this.#contents;
    return strings.of(root, trace, elf).commands;
  }

  /** Returns which names an object mentions. */
  mentionsOf(object: Trace): Mentions {
    return this.#contents.mentions.of(object, this.#jail.read(object).elf);
  }

  /** Returns the paths that an object names; cached, since many programs share libraries. */
  namedBy(object: Trace, elf: ElfFile): readonly NamedPath[] {
    const { identity } = object.stat;
    const known = this.#named.get(identity);
    if (known !== undefined) return known;
    const { root, strings } = this.#contents;
    const named = namedPaths(this.#probe, object, strings.of(root, object, elf));
    this.#named.set(identity, named);
    return named;
  }
}
