import { type DpkgIndex, keptIndex } from './kept-index.js';
import type { PathLists } from './path-index.js';

/** The index that this process used last: advice and packages open a database each. */
let latest: { readonly state: string; readonly index: DpkgIndex } | undefined;

/** Returns the index for a state of the database, as this process has it or as it is kept. */
export function indexOf(state: string): DpkgIndex | undefined {
  const known = latestIndex(state);
  if (known !== undefined) return known;
  const index = keptIndex(state);
  if (index !== undefined) useIndex(state, index);
  return index;
}

/** Returns the index that this process used last, if it is for a state of the database. */
export function latestIndex(state: string): DpkgIndex | undefined {
  return latest?.state === state ? latest.index : undefined;
}

export function useIndex(state: string, index: DpkgIndex): void {
  latest = { state, index };
}

/** Forgets the index that was used last, or only one with these paths, which are damaged. */
export function forgetIndex(paths?: PathLists): void {
  if (paths === undefined || latest?.index.paths === paths) latest = undefined;
}
