import type { ElfHeaders } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { isTrace } from '../fs/sysroot.js';
import type { SearchRule } from '../manifest/manifest.js';
import { acceptsCacheFlags, cacheFlags } from './cache-flags.js';
import { cacheKey } from './cache-order.js';
import { candidateAt } from './candidate.js';
import {
  type Alternative,
  type Cpu,
  hasLevels,
  legacySubdirectories,
  otherLegacyNames,
} from './cpu.js';
import type { LoaderFlavor } from './flavor.js';
import { TLS } from './ld-so-cache.js';
import { CACHE_PATH, type LoaderFiles } from './loader-files.js';
import { asPlaces, type OwnPlaces, type Place } from './search-path.js';
import type { Found, NotFound } from './search-result.js';

/** The errors of open(2) after which glibc tries the next directory of a list (open_path). */
const GOES_ON: ReadonlySet<string> = new Set(['ENOENT', 'EACCES']);

/** A directory, with the subdirectories searched before it. */
interface SearchDirectory {
  readonly taken: readonly { readonly path: string; readonly level: string | undefined }[];
  /** Subdirectories that other processors search. */
  readonly others: readonly { readonly path: string; readonly alternative: Alternative }[];
}

/** Finds libraries as glibc does, for programs of one ABI on one processor (elf/dl-load.c). */
export class GlibcSearch {
  readonly #files: LoaderFiles;
  readonly #flavor: LoaderFlavor;
  readonly #abi: ElfHeaders;
  readonly #cpu: Cpu;
  readonly #directories = new Map<string, SearchDirectory>();

  constructor(files: LoaderFiles, flavor: LoaderFlavor, abi: ElfHeaders, cpu: Cpu) {
    this.#files = files;
    this.#flavor = flavor;
    this.#abi = abi;
    this.#cpu = cpu;
  }

  /**
   * Finds a library by its name without a slash (elf/dl-load.c, _dl_map_object).
   *
   * @param own the search path of the requester
   * @param hideDefaults excludes the default directories, also in the cache (DF_1_NODEFLIB)
   * @throws JailbuildError NOT_ELF, MALFORMED_ELF, NOT_A_REGULAR_FILE, MALFORMED_CACHE
   */
  find(name: string, own: OwnPlaces, hideDefaults: boolean): Found | NotFound {
    const searched: NotFound['searched'][number][] = [];
    const alternatives: Alternative[] = [...own.alternatives];
    const { sysroot } = this.#files.objects;
    let variantAt: string | undefined;
    const inPlaces = (places: readonly Place[]): Found | undefined => {
      for (const { rule, directory } of places) {
        const { taken, others } = this.#directory(directory);
        for (const { path, alternative } of others) {
          if (!isTrace(sysroot.trace(`${path}/${name}`))) continue;
          alternatives.push(alternative);
          variantAt ??= `${path}/${name}`;
        }
        for (const { path, level } of taken) {
          const candidate = candidateAt(
            `${path}/${name}`,
            this.#files.objects,
            this.#flavor,
            this.#abi,
          );
          if (candidate !== undefined) return { ...candidate, rule, level, alternatives };
        }
        searched.push({ rule, path: `${directory}/${name}` });
        // Any error not in GOES_ON ends the search in this list.
        const trace = sysroot.trace(`${directory}/${name}`);
        if (taken.length > 0 && !isTrace(trace) && !GOES_ON.has(trace.errno)) break;
      }
      return undefined;
    };
    const inLists = (lists: readonly (readonly Place[])[]): Found | undefined => {
      for (const places of lists) {
        const found = inPlaces(places);
        if (found !== undefined) return found;
      }
      return undefined;
    };

    const defaults = this.#flavor.defaultDirectories;
    const isHidden = (path: string) =>
      hideDefaults && defaults.some((directory) => path.startsWith(`${directory}/`));
    const instead = this.#files.insteadOfCache().filter((directory) => !isHidden(`${directory}/`));
    return (
      inLists(own.lists) ??
      this.#inCache(name, isHidden, alternatives, searched, (path) => {
        variantAt ??= path;
      }) ??
      inLists(instead.map((directory) => asPlaces('ld.so.conf', [directory]))) ??
      (hideDefaults ? undefined : inPlaces(asPlaces('default', defaults))) ?? {
        searched,
        alternatives,
        ...this.#withheld(name),
        ...this.#configured(name),
        ...(variantAt === undefined ? {} : { variantAt }),
      }
    );
  }

  /**
   * Finds the file that the cache names; if the loader cannot accept it, the search continues
   * elsewhere.
   */
  #inCache(
    name: string,
    isHidden: (path: string) => boolean,
    alternatives: Alternative[],
    searched: { rule: SearchRule; path: string }[],
    onVariant: (path: string) => void,
  ): Found | undefined {
    const cache = this.#files.cache();
    if (cache === undefined) return undefined;
    const { sysroot } = this.#files.objects;
    const { levels } = this.#cpu;
    const ownFlags = cacheFlags(this.#abi);
    let best: { path: string; level: string | undefined; rank: number } | undefined;
    for (const { path, hwcaps, flags } of cache.get(cacheKey(name)) ?? []) {
      if (!acceptsCacheFlags(this.#abi, flags) || hwcaps === '') continue;
      if (hwcaps === TLS && !this.#flavor.hasLegacyHwcaps) continue;
      const level = hwcaps === TLS ? undefined : hwcaps;
      // Entries with accepted flags other than the loader's own come last.
      const general = flags === ownFlags ? levels.length : levels.length + 1;
      const rank = level === undefined ? general : levels.indexOf(level);
      if (rank < 0 && level !== undefined) {
        if (!isTrace(sysroot.trace(path))) continue;
        alternatives.push({ kind: 'level', name: level });
        onVariant(path);
      } else if (best === undefined || rank < best.rank) {
        best = { path, level, rank };
      }
    }
    if (best !== undefined && !isHidden(best.path)) {
      const candidate = candidateAt(best.path, this.#files.objects, this.#flavor, this.#abi);
      if (candidate !== undefined) {
        return { ...candidate, rule: 'ld.so.cache', level: best.level, alternatives };
      }
    }
    searched.push({ rule: 'ld.so.cache', path: CACHE_PATH });
    return undefined;
  }

  /** Returns the entry of a cache that the jail will not have. */
  #withheld(name: string): { readonly cachedAt?: string } {
    if (this.#files.cache() !== undefined) return {};
    const { sysroot } = this.#files.objects;
    const usable = this.#files
      .hostCache()
      ?.get(cacheKey(name))
      ?.find(
        ({ path, flags }) => acceptsCacheFlags(this.#abi, flags) && isTrace(sysroot.trace(path)),
      );
    return usable === undefined ? {} : { cachedAt: usable.path };
  }

  /** Returns the file in a directory of ld.so.conf, for a root whose cache is out of date. */
  #configured(name: string): { readonly configuredAt?: string } {
    const { sysroot } = this.#files.objects;
    let directories: readonly string[];
    try {
      directories = this.#files.confDirectories();
    } catch (error) {
      // Only messages use the result.
      if (error instanceof JailbuildError) return {};
      throw error;
    }
    const paths = directories.map((directory) => `${directory}/${name}`);
    const configuredAt = paths.find((path) => isTrace(sysroot.trace(path)));
    return configuredAt === undefined ? {} : { configuredAt };
  }

  #directory(directory: string): SearchDirectory {
    let known = this.#directories.get(directory);
    if (known === undefined) {
      known = this.#lookInto(directory);
      this.#directories.set(directory, known);
    }
    return known;
  }

  #lookInto(directory: string): SearchDirectory {
    const taken: SearchDirectory['taken'][number][] = [];
    const others: SearchDirectory['others'][number][] = [];
    const self = { path: directory, level: undefined };
    if (!this.#isDirectory(directory)) return { taken: [], others };
    if (this.#flavor.hasHwcaps && hasLevels(this.#abi)) {
      const levels = this.#list(`${directory}/glibc-hwcaps`);
      for (const level of this.#cpu.levels) {
        const path = `${directory}/glibc-hwcaps/${level}`;
        if (levels.includes(level)) taken.push({ path, level });
      }
      for (const name of levels.filter((level) => !this.#cpu.levels.includes(level))) {
        const path = `${directory}/glibc-hwcaps/${name}`;
        others.push({ path, alternative: { kind: 'level', name } });
      }
    }
    if (this.#flavor.hasLegacyHwcaps) {
      for (const name of legacySubdirectories(this.#cpu.legacy)) {
        const path = `${directory}/${name}`;
        if (this.#isDirectory(path)) taken.push({ path, level: name });
      }
      for (const name of otherLegacyNames(this.#abi)) {
        if (this.#cpu.legacy.includes(name)) continue;
        for (const sub of [name, `tls/${name}`]) {
          const path = `${directory}/${sub}`;
          if (this.#isDirectory(path)) others.push({ path, alternative: { kind: 'legacy', name } });
        }
      }
    }
    taken.push(self);
    return { taken, others };
  }

  #isDirectory(path: string): boolean {
    const trace = this.#files.objects.sysroot.trace(path === '' ? '/' : path);
    return isTrace(trace) && trace.stat.type === 'directory';
  }

  #list(path: string): readonly string[] {
    const { sysroot } = this.#files.objects;
    const trace = sysroot.trace(path);
    return isTrace(trace) && trace.stat.type === 'directory' ? sysroot.list(trace) : [];
  }
}
