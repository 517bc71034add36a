import type { ElfFile } from '../../elf/types.js';
import type { Trace } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import { baseName } from '../../text/base-name.js';
import type { RunningProcess } from './running-process.js';
import { GLIBC_SONAME } from './runtime-facts.js';

/** A library that opens further files itself, and a process that has loaded it. */
export interface UsedLibrary {
  readonly process: RunningProcess;
  readonly library: LoadedObject;
}

const LIBCRYPTO_SONAME = /^libcrypto\.so\./;

/** The objects that the jail's processes load. */
export class KnownObjects {
  readonly #sonames = new Set<string>();
  readonly #noted = new Set<Trace>();
  readonly #libraries = new Map<string, UsedLibrary>();

  /** Records an object of a process. */
  note(process: RunningProcess, library: LoadedObject): void {
    if (!this.noteAlone(library)) return;
    const soname = library.elf.dynamic?.soname;
    if (soname === undefined || this.#libraries.has(library.trace.path)) return;
    if (GLIBC_SONAME.test(soname) || LIBCRYPTO_SONAME.test(soname)) {
      this.#libraries.set(library.trace.path, { process, library });
    }
  }

  /** Records a program whose process is not mapped; returns false if the object was known. */
  noteAlone({ trace, elf }: LoadedObject): boolean {
    if (this.#noted.has(trace)) return false;
    this.#noted.add(trace);
    this.noteSoname(trace, elf);
    return true;
  }

  /** Records the name by which the loader knows an object. */
  noteSoname({ path }: Trace, { dynamic }: ElfFile): void {
    this.#sonames.add(dynamic?.soname ?? baseName(path));
  }

  /** Returns whether the loader knows an object by a name. */
  has(soname: string): boolean {
    return this.#sonames.has(soname);
  }

  /** The glibc libraries of the programs. */
  get glibcs(): readonly UsedLibrary[] {
    return this.#used(GLIBC_SONAME);
  }

  /** The OpenSSL libraries of the programs. */
  get libcryptos(): readonly UsedLibrary[] {
    return this.#used(LIBCRYPTO_SONAME);
  }

  #used(soname: RegExp): UsedLibrary[] {
    return [...this.#libraries.values()].filter(({ library }) =>
      soname.test(library.elf.dynamic?.soname ?? ''),
    );
  }
}
