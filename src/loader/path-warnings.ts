import type { ElfFile } from '../elf/types.js';
import type { LoaderFlavor } from './flavor.js';
import type { LoadedObject } from './loaded-object.js';
import type { SearchPath } from './search-path.js';
import { usesOrigin } from './tokens.js';

/** Collects warnings about lookups that may differ inside the jail. */
export class PathWarnings {
  readonly #flavor: LoaderFlavor;
  readonly #path: SearchPath;
  readonly #warned = new Set<ElfFile>();

  constructor(flavor: LoaderFlavor, path: SearchPath) {
    this.#flavor = flavor;
    this.#path = path;
  }

  /** Returns warnings about lookups that may differ inside the jail, once per library. */
  of(object: LoadedObject): string[] {
    // A library without a program is opened by its name, like any other.
    const isProgram = object.loadedBy === undefined && object.elf.interpreter !== undefined;
    if (!isProgram && this.#warned.has(object.elf)) return [];
    this.#warned.add(object.elf);
    const warnings: string[] = [];
    const { path, stat } = object.trace;
    for (const { rule, relative } of this.#path.ownList(object)) {
      if (relative === undefined) continue;
      warnings.push(
        `${path}: its ${rule} has ${JSON.stringify(relative)}, which is relative to the working directory: in the jail it is resolved from the root`,
      );
    }
    for (const { name } of object.elf.dynamic?.dependencies ?? []) {
      if (!name.includes('/') || this.#path.nameFor(name, object)?.startsWith('/') !== false)
        continue;
      warnings.push(
        `${path}: needs ${name}, which is relative to the working directory: in the jail it is resolved from the root`,
      );
    }
    if (isProgram && (stat.mode & 0o6000) !== 0 && this.#distrusts(object)) {
      warnings.push(
        `${path}: is set-user-ID or set-group-ID: for other users the loader ignores its directories with $ORIGIN`,
      );
    }
    return warnings;
  }

  /**
   * Returns a warning for a program that finds objects through its own $ORIGIN: the loader locates
   * the program through /proc/self/exe (glibc _dl_get_origin, musl fixup_rpath).
   */
  ofOrigin(program: LoadedObject, loaded: readonly LoadedObject[]): string | undefined {
    const { runpath, rpath = '', dependencies = [] } = program.elf.dynamic ?? {};
    const inNames =
      this.#flavor.kind === 'glibc' && dependencies.some(({ name }) => usesOrigin(name));
    const directories = (runpath ?? rpath)
      .split(':')
      .filter(usesOrigin)
      .map((item) => `${(this.#path.expand(item, program) ?? '').replace(/\/+$/, '')}/`);
    const isByOrigin = ({ name, rule }: LoadedObject) =>
      (rule === 'rpath' || rule === 'runpath') &&
      directories.some((directory) => name.startsWith(directory));
    if (program.elf.interpreter === undefined || !(inNames || loaded.some(isByOrigin))) {
      return undefined;
    }
    return `${program.trace.path}: finds libraries through $ORIGIN, which requires /proc in the jail`;
  }

  /**
   * Returns whether the loader ignores $ORIGIN of a set-ID program: it must lead into the default
   * directories (glibc elf/dl-load.c).
   */
  #distrusts(object: LoadedObject): boolean {
    const list = object.elf.dynamic?.runpath ?? object.elf.dynamic?.rpath ?? '';
    const isTrusted = (directory: string) =>
      this.#flavor.defaultDirectories.some((trusted) => `${directory}/`.startsWith(`${trusted}/`));
    return list
      .split(':')
      .some((item) => usesOrigin(item) && !isTrusted(this.#path.expand(item, object) ?? ''));
  }
}
