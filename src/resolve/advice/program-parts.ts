import type { ElfFile } from '../../elf/types.js';
import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import type { Resolution } from '../additions.js';
import {
  type Mentions,
  mentionsOf,
  type NamedPath,
  namedPaths,
  scriptMentions,
} from '../packages/named-paths.js';
import { runsCommandLines } from './shell.js';

const LIBC = /\/(libc|libm|libpthread|libdl|librt|ld-[^/]*)\.so\.[\d.]+$/;
/** The maximum size in bytes of files whose strings are kept for the next program. */
const MAX_MENTIONED = 128 << 20;

/** The objects of which programs consist, and what they name. Each is read once for all programs. */
export class ProgramParts {
  readonly #probe: Sysroot;
  readonly #database: PackageDatabase | undefined;
  readonly #resolution: Resolution;
  readonly #objects = new Map<Trace, Trace[]>();
  /** Paths of libraries, by the names with which objects need them. */
  #libraries: ReadonlyMap<string, string> | undefined;
  /** Packages of libraries that were looked at, by path. */
  readonly #linked = new Map<string, readonly InstalledPackage[]>();
  /** Paths that objects name, by identity. */
  readonly #named = new Map<string, readonly NamedPath[]>();
  readonly #mentions = new Map<string, Mentions>();
  /** The size of the files in `#mentions`, in bytes. */
  #mentionedBytes = 0;

  constructor(probe: Sysroot, database: PackageDatabase | undefined, resolution: Resolution) {
    this.#probe = probe;
    this.#database = database;
    this.#resolution = resolution;
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
      const { elf } = this.#resolution.programs.read(object.stat.identity);
      for (const path of this.librariesOf(elf)) {
        if (seen.has(path)) continue;
        seen.add(path);
        if (!embeds && !this.ownersOfLibrary(path).some((owner) => sources.has(sourceOf(owner))))
          continue;
        const library = this.#probe.trace(path);
        if (isTrace(library)) objects.push(library);
      }
    }
    return objects;
  }

  /** Returns the libraries that an object needs, without those of the C library. */
  librariesOf(elf: ElfFile | undefined): string[] {
    const { files, programs } = this.#resolution;
    this.#libraries ??= new Map(
      files.withReason('needed').flatMap((path) => {
        // The C library names paths on behalf of all programs.
        if (LIBC.test(path)) return [];
        const found = this.#probe.trace(path);
        const library = isTrace(found) ? programs.read(found.stat.identity).elf : undefined;
        return [[library?.dynamic?.soname ?? baseName(path), path] as const];
      }),
    );
    // A script runs programs with any of them.
    if (elf === undefined) return [...this.#libraries.values()];
    return (elf.dynamic?.needed ?? []).flatMap((name) => this.#libraries?.get(name) ?? []);
  }

  /** Returns a library that an object needs, directly or through others, by its path. */
  loadedBy(elf: ElfFile, wanted: RegExp): string | undefined {
    const { files, programs } = this.#resolution;
    if (!files.withReason('needed').some((path) => wanted.test(path))) return undefined;
    const seen = new Set(this.librariesOf(elf));
    for (const path of seen) {
      if (wanted.test(path)) return path;
      const found = this.#probe.trace(path);
      const library = isTrace(found) ? programs.read(found.stat.identity).elf : undefined;
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

  /** Returns the first words of command lines in a program's data, if it runs such lines. */
  commandLinesOf(trace: Trace): readonly string[] {
    const { programs, sysroot } = this.#resolution;
    const { elf, facts } = programs.read(trace.stat.identity);
    if (elf === undefined || !runsCommandLines(facts?.imports ?? [])) return [];
    return programs.strings.of(sysroot, trace, elf).commands;
  }

  /**
   * Returns which names an object mentions, since files found through a prefix are named within
   * longer strings.
   */
  mentionsOf(object: Trace): Mentions {
    const { identity, size } = object.stat;
    const known = this.#mentions.get(identity);
    if (known !== undefined) return known;
    const mentions = this.#readMentions(object);
    // The entries hold what was read of the files. Programs of one package usually follow each
    // other.
    if (this.#mentionedBytes + size > MAX_MENTIONED) {
      this.#mentions.clear();
      this.#mentionedBytes = 0;
    }
    this.#mentions.set(identity, mentions);
    this.#mentionedBytes += size;
    return mentions;
  }

  /** Returns the paths that an object names; cached, since many programs share libraries. */
  namedBy(object: Trace, elf: ElfFile): readonly NamedPath[] {
    const { identity } = object.stat;
    const known = this.#named.get(identity);
    if (known !== undefined) return known;
    const { programs, sysroot } = this.#resolution;
    const named = namedPaths(this.#probe, object, programs.strings.of(sysroot, object, elf));
    this.#named.set(identity, named);
    return named;
  }

  #readMentions(object: Trace): Mentions {
    const { elf } = this.#resolution.programs.read(object.stat.identity);
    return elf === undefined
      ? scriptMentions(this.#resolution.sysroot, object)
      : mentionsOf(this.#resolution.sysroot, object, elf);
  }
}
