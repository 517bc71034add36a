import type { ElfHeaders } from '../elf/types.js';
import type { SearchRule } from '../manifest/manifest.js';
import { type Alternative, type Cpu, otherPlatforms } from './cpu.js';
import type { LoaderFlavor } from './flavor.js';
import type { LoadedObject } from './loaded-object.js';
import { expandMuslPath, expandTokens, usesPlatform } from './tokens.js';

export interface Place {
  readonly rule: SearchRule;
  /** Without a trailing slash: '' for the root. */
  readonly directory: string;
  /** Whether it depends on the processor. */
  readonly dependsOnCpu: boolean;
  /** The item as written, if it is relative. */
  readonly relative: string | undefined;
}

/** The directories that depend on the requesting object. */
export interface OwnPlaces {
  /** One list per DT_RPATH, DT_RUNPATH and LD_LIBRARY_PATH, in search order. */
  readonly lists: readonly (readonly Place[])[];
  /** Equal for objects with the same directories. */
  readonly key: string;
  readonly alternatives: readonly Alternative[];
}

const NO_PLACES: OwnPlaces = { lists: [], key: '', alternatives: [] };

/** The directories in DT_RPATH, DT_RUNPATH and LD_LIBRARY_PATH, for one loader and processor. */
export class SearchPath {
  readonly #flavor: LoaderFlavor;
  readonly #abi: ElfHeaders;
  readonly #cpu: Cpu;
  readonly #libraryPath: readonly string[];
  readonly #ownPlaces = new WeakMap<LoadedObject, OwnPlaces>();

  constructor(flavor: LoaderFlavor, abi: ElfHeaders, cpu: Cpu, libraryPath: readonly string[]) {
    this.#flavor = flavor;
    this.#abi = abi;
    this.#cpu = cpu;
    this.#libraryPath = libraryPath;
  }

  /** Returns the directories of DT_RPATH, DT_RUNPATH and LD_LIBRARY_PATH, in search order. */
  placesOf(requester: LoadedObject): OwnPlaces {
    if (this.#libraryPath.length === 0 && !hasPath(requester)) return NO_PLACES;
    const known = this.#ownPlaces.get(requester);
    if (known !== undefined) return known;
    const lists = (
      this.#flavor.kind === 'musl' ? this.#muslLists(requester) : this.#glibcLists(requester)
    ).filter(({ length }) => length > 0);
    const text = ({ rule, directory }: Place) => `${rule}=${directory}`;
    const own = {
      lists,
      key: lists.map((places) => places.map(text).join('\0')).join('\0\0'),
      alternatives: lists.flat().some(({ dependsOnCpu }) => dependsOnCpu)
        ? this.otherPlatforms()
        : [],
    };
    this.#ownPlaces.set(requester, own);
    return own;
  }

  #glibcLists(requester: LoadedObject): Place[][] {
    const lists: Place[][] = [];
    if (requester.elf.dynamic?.runpath === undefined) {
      for (let at: LoadedObject | undefined = requester; at !== undefined; at = at.loadedBy) {
        if (at.elf.dynamic?.runpath === undefined) lists.push(this.ownList(at));
      }
    }
    lists.push(this.#libraryPathOf(programOf(requester)));
    if (requester.elf.dynamic?.runpath !== undefined) lists.push(this.ownList(requester));
    return lists;
  }

  #muslLists(requester: LoadedObject): Place[][] {
    const lists = [asPlaces('library-path', this.#libraryPath)];
    for (let at: LoadedObject | undefined = requester; at !== undefined; at = at.loadedBy) {
      lists.push(this.ownList(at));
    }
    return lists;
  }

  /** Tokens in LD_LIBRARY_PATH have the program's values (glibc elf/dl-load.c, _dl_init_paths). */
  #libraryPathOf(program: LoadedObject): Place[] {
    return this.#libraryPath.flatMap((item) => {
      const expanded = this.expand(item, program);
      if (expanded === undefined) return [];
      return [place('library-path', expanded, usesPlatform(item))];
    });
  }

  /** Returns the directories of an object's DT_RUNPATH, or of its DT_RPATH if it has none. */
  ownList(object: LoadedObject): Place[] {
    const { runpath, rpath } = object.elf.dynamic ?? {};
    const rule = runpath === undefined ? 'rpath' : 'runpath';
    const list = runpath ?? rpath ?? '';
    if (list === '') return [];
    if (this.#flavor.kind === 'musl') {
      const items = (expandMuslPath(list, object.origin) ?? '').split(/[:\n]/);
      return items.filter((item) => item !== '').map((item) => place(rule, item, false));
    }
    return list.split(':').flatMap((item) => {
      const expanded = this.expand(item, object);
      // An item written as empty is the working directory; one that becomes empty is ignored.
      if (expanded === undefined || (expanded === '' && item !== '')) return [];
      return [place(rule, expanded, usesPlatform(item))];
    });
  }

  /**
   * Returns a name from DT_NEEDED and similar tags as the loader uses it: glibc expands tokens in it, musl
   * does not.
   *
   * @returns undefined for a name that the loader cannot expand
   */
  nameFor(name: string, requester: LoadedObject): string | undefined {
    return this.#flavor.kind === 'musl' ? name : this.expand(name, requester);
  }

  /** Expands glibc's tokens; undefined if the loader cannot. */
  expand(text: string, { origin }: LoadedObject): string | undefined {
    return expandTokens(text, { origin, lib: this.#flavor.lib, platform: this.#cpu.platform });
  }

  /** Returns the values of $PLATFORM on other processors. */
  otherPlatforms(): Alternative[] {
    return otherPlatforms(this.#abi).map((name) => ({ kind: 'platform', name }));
  }
}

/** Returns whether an object, or one that it was loaded for, has its own search path. */
function hasPath(object: LoadedObject): boolean {
  for (let at: LoadedObject | undefined = object; at !== undefined; at = at.loadedBy) {
    const { rpath, runpath } = at.elf.dynamic ?? {};
    if (rpath !== undefined || runpath !== undefined) return true;
  }
  return false;
}

/** Returns the program for which a library was loaded. */
function programOf(object: LoadedObject): LoadedObject {
  let at = object;
  while (at.loadedBy !== undefined) at = at.loadedBy;
  return at;
}

/** Returns a directory of a search path; relative and empty items start from the root of the jail. */
export function place(rule: SearchRule, item: string, dependsOnCpu: boolean): Place {
  const isAbsolute = item.startsWith('/');
  const directory = (isAbsolute ? item : `/${item}`).replace(/\/+$/, '');
  return { rule, directory, dependsOnCpu, relative: isAbsolute ? undefined : item };
}

export function asPlaces(rule: SearchRule, directories: readonly string[]): Place[] {
  return directories.map((directory) => place(rule, directory, false));
}
