import type { ElfFile } from '../elf/types.js';
import { loaderFlavor } from './flavor.js';
import type { LoadedObject } from './loaded-object.js';
import type { LoaderFiles } from './loader-files.js';
import { LibrarySearch } from './search.js';

/** The searches of the loaders of one root, made once for each interpreter and ABI. */
export class LibrarySearches {
  readonly #files: LoaderFiles;
  readonly #libraryPath: readonly string[];
  readonly #byLoader = new Map<string, LibrarySearch>();

  /** @param libraryPath directories, as in LD_LIBRARY_PATH */
  constructor(files: LoaderFiles, libraryPath: readonly string[]) {
    this.#files = files;
    this.#libraryPath = libraryPath;
  }

  /** Returns the search for a file: that of its interpreter, or of its machine's usual loader. */
  of({ headers }: ElfFile, interpreter: LoadedObject | undefined): LibrarySearch {
    const key = `${interpreter?.name}/${headers.class}/${headers.byteOrder}/${headers.machine}/${headers.flags}`;
    let search = this.#byLoader.get(key);
    if (search === undefined) {
      const { sysroot } = this.#files.objects;
      const flavor = loaderFlavor(sysroot, interpreter?.name, interpreter?.trace, headers);
      search = new LibrarySearch(this.#files, flavor, headers, this.#libraryPath);
      this.#byLoader.set(key, search);
    }
    return search;
  }

  /** Returns the directories that ldconfig(8) would search for the loaders so far. */
  systemDirectories(): readonly string[] {
    const defaults = [...this.#byLoader.values()]
      .filter(({ flavor }) => flavor.kind === 'glibc')
      .flatMap(({ flavor }) => flavor.defaultDirectories);
    return [...new Set([...this.#files.confDirectories(), ...defaults])];
  }
}
