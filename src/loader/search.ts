import type { ElfFile, ElfHeaders } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { isTrace } from '../fs/sysroot.js';
import type { SearchRule } from '../manifest/manifest.js';
import { acceptForGlibc, acceptForMusl } from './acceptance.js';
import { acceptsCacheFlags, cacheFlags } from './cache-flags.js';
import { cacheKey } from './cache-order.js';
import {
  type Alternative,
  baselineCpu,
  type Cpu,
  cpuKey,
  hasLevels,
  legacySubdirectories,
  otherLegacyNames,
  otherPlatforms,
} from './cpu.js';
import type { LoaderFlavor } from './flavor.js';
import { TLS } from './ld-so-cache.js';
import type { LoadedObject } from './loaded-object.js';
import { CACHE_PATH, type LoaderFiles } from './loader-files.js';
import {
  asPlaces,
  hasPath,
  NO_PLACES,
  type OwnPlaces,
  type Place,
  place,
  programOf,
} from './search-path.js';
import type { Candidate, Found, NotFound } from './search-result.js';
import { expandMuslPath, expandTokens, usesOrigin, usesPlatform } from './tokens.js';

/** The failures of open(2) at which glibc looks into the next directory of a list (open_path). */
const GLIBC_GOES_ON: ReadonlySet<string> = new Set(['ENOENT', 'EACCES']);

/** The failures of open(2) at which musl looks into the next directory (path_open). */
const MUSL_GOES_ON: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG']);

/** musl takes these names for itself (ldso/dynlink.c, load_library). */
const MUSL_OWN_NAMES = /^lib(c|pthread|rt|m|dl|util|xnet)\./;

/** A directory with the subdirectories that are searched before it. */
interface SearchDirectory {
  readonly taken: readonly { readonly path: string; readonly level: string | undefined }[];
  /** Subdirectories that other processors take. */
  readonly others: readonly { readonly path: string; readonly alternative: Alternative }[];
}

/** The search of one loader for programs of one ABI: from a name in DT_NEEDED to a file. */
export class LibrarySearch {
  readonly abi: ElfHeaders;
  readonly flavor: LoaderFlavor;
  readonly #files: LoaderFiles;
  readonly #libraryPath: readonly string[];
  readonly #cpu: Cpu;
  /** Answers by search path and name: most objects have no path of their own and share one. */
  readonly #answers = new Map<string, Map<string, Found | NotFound>>();
  readonly #ownPlaces = new WeakMap<LoadedObject, OwnPlaces>();
  readonly #warned = new Set<ElfFile>();
  readonly #directories = new Map<string, SearchDirectory>();
  readonly #others: Map<string, LibrarySearch>;

  /**
   * @param abi the program's headers: objects of another ABI are passed over
   * @param libraryPath directories in the manner of LD_LIBRARY_PATH
   * @param cpu the processor; the default is one with nothing beyond what the architecture requires
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
    this.#cpu = cpu;
    this.#others = others;
    others.set(cpuKey(cpu), this);
  }

  /** The same search on another processor. */
  on(cpu: Cpu): LibrarySearch {
    return (
      this.#others.get(cpuKey(cpu)) ??
      new LibrarySearch(this.#files, this.flavor, this.abi, this.#libraryPath, cpu, this.#others)
    );
  }

  /** True if the name stands for the C library that is also the loader (musl). */
  isOwnName(name: string): boolean {
    return this.flavor.kind === 'musl' && MUSL_OWN_NAMES.test(name);
  }

  /**
   * A name of DT_NEEDED and its like as the loader takes it: glibc expands tokens in it, musl does
   * not.
   *
   * @returns undefined for a name that the loader cannot expand
   */
  nameFor(name: string, requester: LoadedObject): string | undefined {
    return this.flavor.kind === 'musl' ? name : this.#expand(name, requester);
  }

  /**
   * Finds a library as the loader would for `requester` (ld.so(8); glibc elf/dl-load.c,
   * _dl_map_object; musl ldso/dynlink.c, load_library).
   *
   * @throws JailbuildError for a file in the way that the loader would stop at: NOT_ELF,
   *   MALFORMED_ELF, NOT_A_REGULAR_FILE
   */
  find(name: string, requester: LoadedObject): Found | NotFound {
    const taken = this.nameFor(name, requester);
    if (taken === undefined) return { searched: [] };
    if (taken.includes('/')) return this.#byPath(taken, usesPlatform(name));
    const { lists, key, alternatives } = this.#placesOf(requester);
    const hidden = requester.elf.dynamic?.noDefaultDirectories === true;
    const answers = this.#answersFor(hidden ? `${key}\0-` : key);
    let answer = answers.get(taken);
    if (answer === undefined) {
      answer =
        this.flavor.kind === 'musl'
          ? this.#inMusl(taken, lists.flat())
          : this.#inGlibc(taken, lists, hidden, alternatives);
      answers.set(taken, answer);
    }
    return answer;
  }

  /** What may come out differently in a jail than on the host, a sentence each; of a library once. */
  warningsFor(object: LoadedObject): string[] {
    const isProgram = object.loadedBy === undefined;
    if (!isProgram && this.#warned.has(object.elf)) return [];
    this.#warned.add(object.elf);
    const warnings: string[] = [];
    const { path, stat } = object.trace;
    for (const { rule, relative } of this.#ownList(object)) {
      if (relative === undefined) continue;
      warnings.push(
        `${path}: its ${rule} has ${JSON.stringify(relative)}, which is relative to the working directory: it is looked for from the root`,
      );
    }
    for (const { name } of object.elf.dynamic?.dependencies ?? []) {
      if (!name.includes('/') || this.nameFor(name, object)?.startsWith('/') !== false) continue;
      warnings.push(
        `${path}: needs ${name}, which is relative to the working directory: it is looked for from the root`,
      );
    }
    if (isProgram && this.#needsOrigin(object)) {
      warnings.push(
        `${path}: finds libraries by $ORIGIN, for which its loader needs /proc in the jail`,
      );
    }
    if (isProgram && (stat.mode & 0o6000) !== 0 && this.#distrusts(object)) {
      warnings.push(
        `${path}: is set-uid or set-gid: for other users the loader passes over directories that it names by $ORIGIN`,
      );
    }
    return warnings;
  }

  /** The loader learns from /proc/self/exe where the program is (glibc _dl_get_origin, musl fixup_rpath). */
  #needsOrigin({ elf }: LoadedObject): boolean {
    const { runpath, rpath = '', dependencies = [] } = elf.dynamic ?? {};
    const inNames =
      this.flavor.kind === 'glibc' && dependencies.some(({ name }) => usesOrigin(name));
    return usesOrigin(runpath ?? rpath) || inNames;
  }

  /** For set-uid programs, $ORIGIN must lead into the default directories (glibc elf/dl-load.c). */
  #distrusts(object: LoadedObject): boolean {
    const list = object.elf.dynamic?.runpath ?? object.elf.dynamic?.rpath ?? '';
    const isTrusted = (directory: string) =>
      this.flavor.defaultDirectories.some((trusted) => `${directory}/`.startsWith(`${trusted}/`));
    return list
      .split(':')
      .some((item) => usesOrigin(item) && !isTrusted(this.#expand(item, object) ?? ''));
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
    // A relative path is meant from the process's working directory: in a jail, its root.
    const path = name.startsWith('/') ? name : `/${name}`;
    const alternatives = dependsOnCpu ? this.#otherPlatforms() : [];
    const candidate = this.#candidate(path);
    return candidate === undefined
      ? { searched: [{ rule: 'path', path }], alternatives }
      : { ...candidate, rule: 'path', level: undefined, alternatives };
  }

  #otherPlatforms(): Alternative[] {
    return otherPlatforms(this.abi).map((name) => ({ kind: 'platform', name }));
  }

  /** The places of DT_RPATH and DT_RUNPATH and of LD_LIBRARY_PATH, in their order. */
  #placesOf(requester: LoadedObject): OwnPlaces {
    if (this.#libraryPath.length === 0 && !hasPath(requester)) return NO_PLACES;
    const known = this.#ownPlaces.get(requester);
    if (known !== undefined) return known;
    const lists = (
      this.flavor.kind === 'musl' ? this.#muslLists(requester) : this.#glibcLists(requester)
    ).filter(({ length }) => length > 0);
    const text = ({ rule, directory }: Place) => `${rule}=${directory}`;
    const own = {
      lists,
      key: lists.map((places) => places.map(text).join('\0')).join('\0\0'),
      alternatives: lists.flat().some(({ dependsOnCpu }) => dependsOnCpu)
        ? this.#otherPlatforms()
        : [],
    };
    this.#ownPlaces.set(requester, own);
    return own;
  }

  #glibcLists(requester: LoadedObject): Place[][] {
    const lists: Place[][] = [];
    if (requester.elf.dynamic?.runpath === undefined) {
      for (let at: LoadedObject | undefined = requester; at !== undefined; at = at.loadedBy) {
        if (at.elf.dynamic?.runpath === undefined) lists.push(this.#ownList(at));
      }
    }
    lists.push(this.#libraryPathOf(programOf(requester)));
    if (requester.elf.dynamic?.runpath !== undefined) lists.push(this.#ownList(requester));
    return lists;
  }

  #muslLists(requester: LoadedObject): Place[][] {
    const lists = [asPlaces('library-path', this.#libraryPath)];
    for (let at: LoadedObject | undefined = requester; at !== undefined; at = at.loadedBy) {
      lists.push(this.#ownList(at));
    }
    return lists;
  }

  /** In LD_LIBRARY_PATH tokens have the program's values (glibc elf/dl-load.c, _dl_init_paths). */
  #libraryPathOf(program: LoadedObject): Place[] {
    return this.#libraryPath.flatMap((item) => {
      const expanded = this.#expand(item, program);
      if (expanded === undefined) return [];
      return [place('library-path', expanded, usesPlatform(item))];
    });
  }

  /** The directories of an object's DT_RUNPATH, or else of its DT_RPATH. */
  #ownList(object: LoadedObject): Place[] {
    const { runpath, rpath } = object.elf.dynamic ?? {};
    const rule = runpath === undefined ? 'rpath' : 'runpath';
    const list = runpath ?? rpath ?? '';
    if (list === '') return [];
    if (this.flavor.kind === 'musl') {
      const items = (expandMuslPath(list, object.origin) ?? '').split(/[:\n]/);
      return items.filter((item) => item !== '').map((item) => place(rule, item, false));
    }
    return list.split(':').flatMap((item) => {
      const expanded = this.#expand(item, object);
      // An item that is empty as written is the working directory; one that becomes empty is none.
      if (expanded === undefined || (expanded === '' && item !== '')) return [];
      return [place(rule, expanded, usesPlatform(item))];
    });
  }

  #expand(text: string, { origin }: LoadedObject): string | undefined {
    return expandTokens(text, { origin, lib: this.flavor.lib, platform: this.#cpu.platform });
  }

  #inGlibc(
    name: string,
    own: readonly (readonly Place[])[],
    hideDefaults: boolean,
    fromPlatform: readonly Alternative[],
  ): Found | NotFound {
    const searched: NotFound['searched'][number][] = [];
    const alternatives: Alternative[] = [...fromPlatform];
    const { sysroot } = this.#files.objects;
    const inPlaces = (places: readonly Place[]): Found | undefined => {
      for (const { rule, directory } of places) {
        const { taken, others } = this.#directory(directory);
        for (const { path, alternative } of others) {
          if (isTrace(sysroot.trace(`${path}/${name}`))) alternatives.push(alternative);
        }
        for (const { path, level } of taken) {
          const candidate = this.#candidate(`${path}/${name}`);
          if (candidate !== undefined) return { ...candidate, rule, level, alternatives };
        }
        searched.push({ rule, path: `${directory}/${name}` });
        // A failure that does not say that there is no such file ends the search in this list.
        const trace = sysroot.trace(`${directory}/${name}`);
        if (taken.length > 0 && !isTrace(trace) && !GLIBC_GOES_ON.has(trace.errno)) break;
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

    const defaults = this.flavor.defaultDirectories;
    const isHidden = (path: string) =>
      hideDefaults && defaults.some((directory) => path.startsWith(`${directory}/`));
    const instead = this.#files.insteadOfCache().filter((directory) => !isHidden(`${directory}/`));
    return (
      inLists(own) ??
      this.#inCache(name, isHidden, alternatives, searched) ??
      inLists(instead.map((directory) => asPlaces('ld.so.conf', [directory]))) ??
      (hideDefaults ? undefined : inPlaces(asPlaces('default', defaults))) ?? {
        searched,
        alternatives,
        ...this.#withheld(name),
      }
    );
  }

  /** The cache gives one file; where the loader cannot take that, the search goes on elsewhere. */
  #inCache(
    name: string,
    isHidden: (path: string) => boolean,
    alternatives: Alternative[],
    searched: { rule: SearchRule; path: string }[],
  ): Found | undefined {
    const cache = this.#files.cache();
    if (cache === undefined) return undefined;
    const { sysroot } = this.#files.objects;
    const { levels } = this.#cpu;
    const ownFlags = cacheFlags(this.abi);
    let best: { path: string; level: string | undefined; rank: number } | undefined;
    for (const { path, hwcaps, flags } of cache.get(cacheKey(name)) ?? []) {
      if (!acceptsCacheFlags(this.abi, flags) || hwcaps === '') continue;
      if (hwcaps === TLS && !this.flavor.hasLegacyHwcaps) continue;
      const level = hwcaps === TLS ? undefined : hwcaps;
      // Flags that are accepted although they are not the loader's own come last.
      const general = flags === ownFlags ? levels.length : levels.length + 1;
      const rank = level === undefined ? general : levels.indexOf(level);
      if (rank < 0 && level !== undefined) {
        if (isTrace(sysroot.trace(path))) alternatives.push({ kind: 'level', name: level });
      } else if (best === undefined || rank < best.rank) {
        best = { path, level, rank };
      }
    }
    if (best !== undefined && !isHidden(best.path)) {
      const candidate = this.#candidate(best.path);
      if (candidate !== undefined) {
        return { ...candidate, rule: 'ld.so.cache', level: best.level, alternatives };
      }
    }
    searched.push({ rule: 'ld.so.cache', path: CACHE_PATH });
    return undefined;
  }

  /** Where the cache leads that this search goes without. */
  #withheld(name: string): { readonly cachedAt?: string } {
    if (this.#files.cache() !== undefined) return {};
    const { sysroot } = this.#files.objects;
    const usable = this.#files
      .hostCache()
      ?.get(cacheKey(name))
      ?.find(
        ({ path, flags }) => acceptsCacheFlags(this.abi, flags) && isTrace(sysroot.trace(path)),
      );
    return usable === undefined ? {} : { cachedAt: usable.path };
  }

  #inMusl(name: string, own: readonly Place[]): Found | NotFound {
    const { sysroot } = this.#files.objects;
    const searched: NotFound['searched'][number][] = [];
    // A failure that does not say that there is no such file ends the search in that list.
    for (const list of [own, this.#muslSystemPlaces()]) {
      for (const { rule, directory } of list) {
        const path = `${directory}/${name}`;
        const trace = sysroot.trace(path);
        const candidate = isTrace(trace) ? this.#candidate(path) : undefined;
        if (candidate !== undefined) {
          return { ...candidate, rule, level: undefined, alternatives: [] };
        }
        searched.push({ rule, path });
        if (!isTrace(trace) && !MUSL_GOES_ON.has(trace.errno)) return { searched };
      }
    }
    return { searched };
  }

  #muslSystemPlaces(): Place[] {
    const { sysroot } = this.#files.objects;
    const found = sysroot.trace(this.flavor.muslPathFile ?? '');
    if (!isTrace(found)) {
      // Only a file that is not there leaves the default.
      const instead = found.errno === 'ENOENT' ? this.flavor.defaultDirectories : [];
      return asPlaces('default', instead);
    }
    if (found.stat.type !== 'file') return [];
    const directories = sysroot
      .readText(found)
      .split(/[:\n]/)
      .filter((item) => item !== '');
    return directories.map((item) => place('ld-musl.path', item, false));
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
    if (this.flavor.hasHwcaps && hasLevels(this.abi)) {
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
    if (this.flavor.hasLegacyHwcaps) {
      for (const name of legacySubdirectories(this.#cpu.legacy)) {
        const path = `${directory}/${name}`;
        if (this.#isDirectory(path)) taken.push({ path, level: name });
      }
      for (const name of otherLegacyNames(this.abi)) {
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

  /** The file at a path, if there is one that this loader would take. */
  #candidate(name: string): Candidate | undefined {
    const { objects } = this.#files;
    const trace = objects.sysroot.trace(name);
    if (!isTrace(trace)) return undefined;
    if (trace.stat.type !== 'file') {
      const what = trace.stat.type.replace('-', ' ');
      throw new JailbuildError(
        'NOT_A_REGULAR_FILE',
        `${name}: is a ${what} where the loader looks for a library`,
        name,
      );
    }
    const accept = this.flavor.kind === 'musl' ? acceptForMusl : acceptForGlibc;
    const elf = accept(name, objects.look(trace), this.abi);
    return elf === undefined ? undefined : { name, trace, elf };
  }
}
