import type { ElfHeaders } from '../elf/types.js';
import { candidateAt } from './candidate.js';
import { baselineCpu, type Cpu, cpuKey } from './cpu.js';
import type { LoaderFlavor } from './flavor.js';
import { GlibcSearch } from './glibc-search.js';
import type { LoadedObject } from './loaded-object.js';
import type { LoaderFiles } from './loader-files.js';
import { isMuslName, MuslSearch } from './musl-search.js';
import { PathWarnings } from './path-warnings.js';
import { SearchPath } from './search-path.js';
import type { Found, NotFound } from './search-result.js';
import { usesPlatform } from './tokens.js';

/**
 * Searches libraries as one loader does for programs of one ABI: from a name in DT_NEEDED to a
 * file.
 */
export class LibrarySearch {
  readonly abi: ElfHeaders;
  readonly flavor: LoaderFlavor;
  /** How many names were looked up in the file system, which may be slow; all other answers are known. */
  answered = 0;
  readonly #files: LoaderFiles;
  readonly #libraryPath: readonly string[];
  readonly #path: SearchPath;
  readonly #warnings: PathWarnings;
  readonly #loader: GlibcSearch | MuslSearch;
  /** Results by search path and name: most objects have no path of their own and share one. */
  readonly #answers = new Map<string, Map<string, Found | NotFound>>();
  readonly #others: Map<string, LibrarySearch>;

  /**
   * @param abi the program's headers: objects of another ABI are skipped
   * @param libraryPath directories, as in LD_LIBRARY_PATH
   * @param cpu the processor; the default has the baseline features of the architecture
   */
  constructor(
    files: LoaderFiles,
    flavor: LoaderFlavor,
    abi: ElfHeaders,
    libraryPath: readonly string[] = [],
    cpu: Cpu = baselineCpu(abi),
    others: Map<string, LibrarySearch> = new Map(),
  ) {
    this.#files = files;
    this.flavor = flavor;
    this.abi = abi;
    this.#libraryPath = libraryPath;
    this.#path = new SearchPath(flavor, abi, cpu, libraryPath);
    this.#warnings = new PathWarnings(flavor, this.#path);
    this.#loader =
      flavor.kind === 'musl'
        ? new MuslSearch(files, flavor, abi)
        : new GlibcSearch(files, flavor, abi, cpu);
    this.#others = others;
    others.set(cpuKey(cpu), this);
  }

  /** Returns the same search on another processor. */
  on(cpu: Cpu): LibrarySearch {
    return (
      this.#others.get(cpuKey(cpu)) ??
      new LibrarySearch(this.#files, this.flavor, this.abi, this.#libraryPath, cpu, this.#others)
    );
  }

  /** Returns whether the name refers to the C library that is also the loader (musl). */
  isOwnName(name: string): boolean {
    return this.flavor.kind === 'musl' && isMuslName(name);
  }

  /**
   * Returns a name from DT_NEEDED and similar tags as the loader uses it: glibc expands tokens in it, musl
   * does not.
   *
   * @returns undefined for a name that the loader cannot expand
   */
  nameFor(name: string, requester: LoadedObject): string | undefined {
    return this.#path.nameFor(name, requester);
  }

  /**
   * Finds a library as the loader would for `requester` (ld.so(8); glibc elf/dl-load.c,
   * _dl_map_object; musl ldso/dynlink.c, load_library).
   *
   * @throws JailbuildError NOT_ELF, MALFORMED_ELF, NOT_A_REGULAR_FILE for a file at which the
   *   loader would fail
   */
  find(name: string, requester: LoadedObject): Found | NotFound {
    const taken = this.nameFor(name, requester);
    if (taken === undefined) return { searched: [] };
    if (taken.includes('/')) return this.#byPath(taken, usesPlatform(name));
    const places = this.#path.placesOf(requester);
    const hidden = requester.elf.dynamic?.noDefaultDirectories === true;
    const answers = this.#answersFor(hidden ? `${places.key}\0-` : places.key);
    let answer = answers.get(taken);
    if (answer === undefined) {
      this.answered++;
      answer = this.#loader.find(taken, places, hidden);
      answers.set(taken, answer);
    }
    return answer;
  }

  /** Returns warnings about lookups that may differ inside the jail, once per library. */
  warningsFor(object: LoadedObject): string[] {
    return this.#warnings.of(object);
  }

  /** Returns a warning for a program that finds objects through its own $ORIGIN. */
  originWarning(program: LoadedObject, loaded: readonly LoadedObject[]): string | undefined {
    return this.#warnings.ofOrigin(program, loaded);
  }

  #answersFor(key: string): Map<string, Found | NotFound> {
    let answers = this.#answers.get(key);
    if (answers === undefined) {
      answers = new Map();
      this.#answers.set(key, answers);
    }
    return answers;
  }

  #byPath(name: string, dependsOnCpu: boolean): Found | NotFound {
    // A relative path starts from the working directory of the process: in a jail, its root.
    const path = name.startsWith('/') ? name : `/${name}`;
    this.answered++;
    const alternatives = dependsOnCpu ? this.#path.otherPlatforms() : [];
    const candidate = candidateAt(path, this.#files.objects, this.flavor, this.abi);
    return candidate === undefined
      ? { searched: [{ rule: 'path', path }], alternatives }
      : { ...candidate, rule: 'path', level: undefined, alternatives };
  }
}
