import type { MissingLibrary } from '../manifest/manifest.js';
import { missingId } from '../manifest/missing.js';

/** Libraries that no rule finds, in the order in which they were needed. */
export class MissingLibraries {
  readonly #byId = new Map<string, MissingLibrary>();
  /** Those that only modules need. */
  readonly #ofModules = new Set<string>();

  /** Records a library; one that must exist replaces the same one that is optional. */
  add(library: MissingLibrary): void {
    const id = missingId(library);
    const known = this.#byId.get(id);
    if (known === undefined || known.optional) this.#byId.set(id, library);
  }

  /** Records a library that a program needs. */
  addOfProgram(library: MissingLibrary): void {
    this.#ofModules.delete(missingId(library));
    this.add(library);
  }

  /** Records a library that a module needs. */
  addOfModule(library: MissingLibrary): void {
    const id = missingId(library);
    if (!this.#byId.has(id)) this.#ofModules.add(id);
    this.add(library);
  }

  /**
   * Returns those that are missing at run time: a module may rely on an object that its process has
   * already opened.
   *
   * @param isOpened whether the jail has an object that the loader knows by this name
   */
  unmet(isOpened: (soname: string) => boolean): MissingLibrary[] {
    const isMet = (library: MissingLibrary) =>
      library.version === undefined &&
      isOpened(library.name) &&
      this.#ofModules.has(missingId(library));
    return [...this.#byId.values()].filter((library) => !isMet(library));
  }
}
