import type { ElfHeaders } from '../elf/types.js';
import { isTrace } from '../fs/sysroot.js';
import { candidateAt } from './candidate.js';
import type { LoaderFlavor } from './flavor.js';
import type { LoaderFiles } from './loader-files.js';
import { asPlaces, type OwnPlaces, type Place, place } from './search-path.js';
import type { Found, NotFound } from './search-result.js';

/** The errors of open(2) after which musl tries the next directory (path_open). */
const GOES_ON: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG']);

/** Names that refer to musl itself (ldso/dynlink.c, load_library). */
const OWN_NAMES = /^lib(c|pthread|rt|m|dl|util|xnet)\./;

/** Returns whether the name refers to the C library, which is the loader itself. */
export function isMuslName(name: string): boolean {
  return OWN_NAMES.test(name);
}

/** Finds libraries as musl does, for programs of one ABI (ldso/dynlink.c). */
export class MuslSearch {
  readonly #files: LoaderFiles;
  readonly #flavor: LoaderFlavor;
  readonly #abi: ElfHeaders;

  constructor(files: LoaderFiles, flavor: LoaderFlavor, abi: ElfHeaders) {
    this.#files = files;
    this.#flavor = flavor;
    this.#abi = abi;
  }

  /**
   * Finds a library by its name without a slash (ldso/dynlink.c, load_library).
   *
   * @throws JailbuildError NOT_ELF, MALFORMED_ELF, NOT_A_REGULAR_FILE
   */
  find(name: string, { lists }: OwnPlaces): Found | NotFound {
    const { sysroot } = this.#files.objects;
    const searched: NotFound['searched'][number][] = [];
    // Any error not in GOES_ON ends the search, without trying the next list.
    for (const list of [lists.flat(), this.#systemPlaces()]) {
      for (const { rule, directory } of list) {
        const path = `${directory}/${name}`;
        const trace = sysroot.trace(path);
        const candidate = isTrace(trace)
          ? candidateAt(path, this.#files.objects, this.#flavor, this.#abi)
          : undefined;
        if (candidate !== undefined) {
          return { ...candidate, rule, level: undefined, alternatives: [] };
        }
        searched.push({ rule, path });
        if (!isTrace(trace) && !GOES_ON.has(trace.errno)) return { searched };
      }
    }
    return { searched };
  }

  #systemPlaces(): Place[] {
    const { sysroot } = this.#files.objects;
    const found = sysroot.trace(this.#flavor.muslPathFile ?? '');
    if (!isTrace(found)) {
      // The defaults apply only if the file does not exist.
      const instead = found.errno === 'ENOENT' ? this.#flavor.defaultDirectories : [];
      return asPlaces('default', instead);
    }
    if (found.stat.type !== 'file') return [];
    const directories = sysroot
      .readText(found)
      .split(/[:\n]/)
      .filter((item) => item !== '');
    return directories.map((item) => place('ld-musl.path', item, false));
  }
}
