import type { SearchRule } from '../manifest/manifest.js';
import type { Alternative } from './cpu.js';
import type { LoadedObject } from './loaded-object.js';

export interface Place {
  readonly rule: SearchRule;
  /** Without a slash at its end: '' for the root. */
  readonly directory: string;
  /** True if it is another one for another processor. */
  readonly dependsOnCpu: boolean;
  /** The item as written, if it is relative. */
  readonly relative: string | undefined;
}

/** The places that depend on who asks. */
export interface OwnPlaces {
  /** A list for each DT_RPATH, DT_RUNPATH and LD_LIBRARY_PATH, in their order. */
  readonly lists: readonly (readonly Place[])[];
  /** Equal for objects that have the same places. */
  readonly key: string;
  readonly alternatives: readonly Alternative[];
}

export const NO_PLACES: OwnPlaces = { lists: [], key: '', alternatives: [] };

/** True if an object, or one of those that it was loaded for, has a search path of its own. */
export function hasPath(object: LoadedObject): boolean {
  for (let at: LoadedObject | undefined = object; at !== undefined; at = at.loadedBy) {
    const { rpath, runpath } = at.elf.dynamic ?? {};
    if (rpath !== undefined || runpath !== undefined) return true;
  }
  return false;
}

/** The program that a library was loaded for. */
export function programOf(object: LoadedObject): LoadedObject {
  let at = object;
  while (at.loadedBy !== undefined) at = at.loadedBy;
  return at;
}

/** A directory of a search path; a relative one, or an empty item, is meant from the root of a jail. */
export function place(rule: SearchRule, item: string, dependsOnCpu: boolean): Place {
  const isAbsolute = item.startsWith('/');
  const directory = (isAbsolute ? item : `/${item}`).replace(/\/+$/, '');
  return { rule, directory, dependsOnCpu, relative: isAbsolute ? undefined : item };
}

export function asPlaces(rule: SearchRule, directories: readonly string[]): Place[] {
  return directories.map((directory) => place(rule, directory, false));
}
