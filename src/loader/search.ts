import type { ElfFile, ElfHeaders } from '../elf/types.js';
import type { SearchRule } from '../plan/manifest.js';
import { isTrace, type Trace } from '../sysroot/sysroot.js';
import type { LoaderFlavor } from './flavor.js';
import { type LdSoCache, parseLdSoCache } from './ld-so-cache.js';
import { readLdSoConf } from './ld-so-conf.js';
import type { LoadedObject } from './loaded-object.js';
import { type ObjectTable, sameAbi } from './objects.js';
import { expandTokens } from './tokens.js';

/** A file that the search came upon. */
export interface Candidate {
  /** The path as the loader would open it. */
  readonly name: string;
  readonly trace: Trace;
  readonly elf: ElfFile;
}

/** A library built for a CPU feature level, which a CPU of that level takes before the baseline. */
export interface Variant extends Candidate {
  /** The name of the subdirectory of glibc-hwcaps, as x86-64-v3. */
  readonly level: string;
}

export interface Found extends Candidate {
  readonly rule: SearchRule;
  readonly variants: readonly Variant[];
}

export interface NotFound {
  /** Each place that was looked at, in order: files, and the cache itself. */
  readonly searched: readonly { readonly rule: SearchRule; readonly path: string }[];
  /** Where a cache would lead that the search was told to do without. */
  readonly cachedAt?: string;
}

export function isFound(result: Found | NotFound): result is Found {
  return 'trace' in result;
}

interface Place {
  readonly rule: SearchRule;
  readonly directory: string;
}

const CACHE_PATH = '/etc/ld.so.cache';

/** musl takes these names for itself (ldso/dynlink.c, load_library). */
const MUSL_OWN_NAMES = /^lib(c|pthread|rt|m|dl|util|xnet)\./;

/**
 * What stands for /etc/ld.so.cache: `read` is the loader's own rule; `read-or-conf` takes the
 * directories of /etc/ld.so.conf where there is no cache yet, for a jail that will have one; `none`
 * is for a jail without a cache.
 */
export type CachePolicy = 'read' | 'read-or-conf' | 'none';

/** What the loaders of one sysroot share: the cache and the configuration, read once and only if needed. */
export class LoaderFiles {
  readonly objects: ObjectTable;
  readonly #policy: CachePolicy;
  #cache: LdSoCache | 'absent' | undefined;
  #confDirectories: readonly string[] | undefined;

  constructor(objects: ObjectTable, policy: CachePolicy = 'read') {
    this.objects = objects;
    this.#policy = policy;
  }

  /** @throws JailbuildError MALFORMED_CACHE */
  cache(): LdSoCache | undefined {
    return this.#policy === 'none' ? undefined : this.hostCache();
  }

  /** The cache as it is in the sysroot, whatever the jail will have. */
  hostCache(): LdSoCache | undefined {
    if (this.#cache === undefined) {
      const { sysroot } = this.objects;
      const found = sysroot.trace(CACHE_PATH);
      if (isTrace(found) && found.stat.type === 'file') {
        const reader = sysroot.open(found);
        try {
          this.#cache = parseLdSoCache(reader.read(0, reader.size), found.path);
        } finally {
          reader.close();
        }
      } else {
        this.#cache = 'absent';
      }
    }
    return this.#cache === 'absent' ? undefined : this.#cache;
  }

  /** The directories that are searched in place of a cache. */
  insteadOfCache(): readonly string[] {
    const stands = this.#policy === 'read-or-conf' && this.cache() === undefined;
    return stands ? this.confDirectories() : [];
  }

  confDirectories(): readonly string[] {
    this.#confDirectories ??= readLdSoConf(this.objects.sysroot);
    return this.#confDirectories;
  }
}

/** The search of one loader for programs of one ABI: from a name in DT_NEEDED to a file. */
export class LibrarySearch {
  readonly #files: LoaderFiles;
  readonly #flavor: LoaderFlavor;
  readonly #abi: ElfHeaders;
  readonly #libraryPath: readonly string[];
  /** Answers by name and search path: most objects have no path of their own and share one. */
  readonly #answers = new Map<string, Found | NotFound>();

  /**
   * @param abi the program's headers: objects of another ABI are passed over
   * @param libraryPath directories in the manner of LD_LIBRARY_PATH
   */
  constructor(
    files: LoaderFiles,
    flavor: LoaderFlavor,
    abi: ElfHeaders,
    libraryPath: readonly string[] = [],
  ) {
    this.#files = files;
    this.#flavor = flavor;
    this.#abi = abi;
    this.#libraryPath = libraryPath;
  }

  /** True if the name stands for the C library that is also the loader (musl). */
  isOwnName(name: string): boolean {
    return this.#flavor.kind === 'musl' && MUSL_OWN_NAMES.test(name);
  }

  /**
   * Finds a library as the loader would for `requester` (ld.so(8); glibc elf/dl-load.c,
   * _dl_map_object; musl ldso/dynlink.c, load_library).
   *
   * @throws JailbuildError for a file in the way that the loader would stop at: NOT_ELF, MALFORMED_ELF
   */
  find(name: string, requester: LoadedObject): Found | NotFound {
    if (name.includes('/')) return this.#byPath(name, requester);
    const own = this.#ownPlaces(requester);
    const hidden = requester.elf.dynamic?.noDefaultDirectories === true;
    const key = `${name}\0${hidden}\0${own.map(({ rule, directory }) => `${rule}=${directory}`).join('\0')}`;
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer =
        this.#flavor.kind === 'musl' ? this.#inMusl(name, own) : this.#inGlibc(name, own, hidden);
      this.#answers.set(key, answer);
    }
    return answer;
  }

  #byPath(name: string, requester: LoadedObject): Found | NotFound {
    const expanded = this.#expand(name, requester);
    // A relative path is meant from the process's working directory: in a jail, its root.
    const path = expanded.startsWith('/') ? expanded : `/${expanded}`;
    const candidate = this.#candidate(path);
    return candidate === undefined
      ? { searched: [{ rule: 'path', path }] }
      : { ...candidate, rule: 'path', variants: [] };
  }

  /** The places that depend on who asks: those of DT_RPATH and DT_RUNPATH, and LD_LIBRARY_PATH. */
  #ownPlaces(requester: LoadedObject): Place[] {
    const fromEnvironment: Place[] = this.#libraryPath.map((directory) => ({
      rule: 'library-path',
      directory,
    }));
    if (this.#flavor.kind === 'musl') {
      const inherited: Place[] = [];
      for (let at: LoadedObject | undefined = requester; at !== undefined; at = at.loadedBy) {
        const rule = at.elf.dynamic?.runpath === undefined ? 'rpath' : 'runpath';
        inherited.push(...this.#pathList(rule, at));
      }
      return [...fromEnvironment, ...inherited];
    }
    const places: Place[] = [];
    if (requester.elf.dynamic?.runpath === undefined) {
      for (let at: LoadedObject | undefined = requester; at !== undefined; at = at.loadedBy) {
        if (at.elf.dynamic?.runpath === undefined) places.push(...this.#pathList('rpath', at));
      }
    }
    return [...places, ...fromEnvironment, ...this.#pathList('runpath', requester)];
  }

  #pathList(rule: 'rpath' | 'runpath', object: LoadedObject): Place[] {
    const list = object.elf.dynamic?.[rule];
    if (list === undefined || list === '') return [];
    return list.split(':').map((item) => {
      const expanded = this.#expand(item, object);
      // An empty item and a relative one are meant from the working directory: in a jail, its root.
      const absolute = expanded.startsWith('/') ? expanded : `/${expanded}`;
      return { rule, directory: absolute.length > 1 ? absolute.replace(/\/+$/, '') : '' };
    });
  }

  #expand(text: string, { origin }: LoadedObject): string {
    return expandTokens(text, { origin, lib: this.#flavor.lib, platform: this.#flavor.platform });
  }

  #inGlibc(name: string, own: readonly Place[], hideDefaults: boolean): Found | NotFound {
    const searched: NotFound['searched'][number][] = [];
    const variants: Variant[] = [];
    const inPlaces = (places: readonly Place[]): Found | undefined => {
      for (const { rule, directory } of places) {
        variants.push(...this.#variantsIn(directory, name));
        const path = `${directory}/${name}`;
        const candidate = this.#candidate(path);
        if (candidate !== undefined) return { ...candidate, rule, variants };
        searched.push({ rule, path });
      }
      return undefined;
    };

    const defaults = this.#flavor.defaultDirectories;
    const found =
      inPlaces(own) ??
      this.#inCache(name, hideDefaults ? defaults : [], variants, searched) ??
      inPlaces(asPlaces('ld.so.conf', this.#files.insteadOfCache())) ??
      (hideDefaults ? undefined : inPlaces(asPlaces('default', defaults)));
    if (found !== undefined) return found;
    // With no baseline anywhere, a CPU of the level still finds its variant.
    const [first] = variants;
    if (first === undefined) return { searched, ...this.#withheld(name) };
    return { ...first, rule: 'default', variants };
  }

  #inCache(
    name: string,
    hidden: readonly string[],
    variants: Variant[],
    searched: { rule: SearchRule; path: string }[],
  ): Found | undefined {
    const cache = this.#files.cache();
    if (cache === undefined) return undefined;
    let found: Found | undefined;
    for (const { path, hwcaps } of cache.get(name) ?? []) {
      if (hidden.some((directory) => path.startsWith(`${directory}/`))) continue;
      if (hwcaps === undefined && found !== undefined) continue;
      const candidate = this.#candidate(path);
      if (candidate === undefined) continue;
      if (hwcaps !== undefined) variants.push({ ...candidate, level: hwcaps });
      else found = { ...candidate, rule: 'ld.so.cache', variants };
    }
    if (found === undefined) searched.push({ rule: 'ld.so.cache', path: CACHE_PATH });
    return found;
  }

  /** Where the cache leads that this search goes without. */
  #withheld(name: string): { readonly cachedAt?: string } {
    if (this.#files.cache() !== undefined) return {};
    const entries = this.#files.hostCache()?.get(name) ?? [];
    const usable = entries.find(({ path }) => this.#candidate(path) !== undefined);
    return usable === undefined ? {} : { cachedAt: usable.path };
  }

  #inMusl(name: string, own: readonly Place[]): Found | NotFound {
    const searched: NotFound['searched'][number][] = [];
    for (const { rule, directory } of [...own, ...this.#muslSystemPlaces()]) {
      const path = `${directory}/${name}`;
      const candidate = this.#candidate(path);
      if (candidate !== undefined) return { ...candidate, rule, variants: [] };
      searched.push({ rule, path });
    }
    return { searched };
  }

  #muslSystemPlaces(): Place[] {
    const { sysroot } = this.#files.objects;
    const found = sysroot.trace(`/etc/ld-musl-${this.#flavor.muslArch}.path`);
    if (!isTrace(found) || found.stat.type !== 'file') {
      return asPlaces('default', this.#flavor.defaultDirectories);
    }
    const directories = sysroot
      .readText(found)
      .split(/[:\n]/)
      .filter((item) => item !== '');
    return asPlaces('ld-musl.path', directories);
  }

  #variantsIn(directory: string, name: string): Variant[] {
    const { sysroot } = this.#files.objects;
    const hwcaps = sysroot.trace(`${directory}/glibc-hwcaps`);
    if (!isTrace(hwcaps) || hwcaps.stat.type !== 'directory') return [];
    return sysroot.list(hwcaps).flatMap((level) => {
      const candidate = this.#candidate(`${directory}/glibc-hwcaps/${level}/${name}`);
      return candidate === undefined ? [] : [{ ...candidate, level }];
    });
  }

  /** The file at a path, if there is one that this loader would take. */
  #candidate(name: string): Candidate | undefined {
    const trace = this.#files.objects.sysroot.trace(name);
    if (!isTrace(trace) || trace.stat.type !== 'file') return undefined;
    const elf = this.#files.objects.parse(trace);
    return sameAbi(this.#abi, elf.headers) ? { name, trace, elf } : undefined;
  }
}

function asPlaces(rule: SearchRule, directories: readonly string[]): Place[] {
  return directories.map((directory) => ({ rule, directory }));
}
