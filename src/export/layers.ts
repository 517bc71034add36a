import type { Entry } from '../manifest/manifest.js';
import { baseName } from '../text/base-name.js';
import { reproducibleTimes } from './times.js';

/** How files are distributed over layers. */
export type LayerChoice = 'single' | 'by-package' | 'by-library';

/** A layer of an image. */
export interface Layer {
  /** Its content: the path of a library, the name of a package, or `files` for the rest. */
  readonly name: string;
  readonly entries: readonly Entry[];
}

export interface LayerOptions {
  readonly by: LayerChoice;
  /** The maximum number of layers. The smallest are merged. */
  readonly most: number;
  /** Returns the package that owns an entry, for `by-package`. */
  readonly packageOf?: (entry: Entry) => string | undefined;
}

/** One less than the layers that Docker mounts (moby, overlay2 driver, maxDepth); overlayfs itself takes 500. */
export const MAX_LAYERS = 127;

/**
 * Splits entries into the layers of an image. A layer depends only on its content, so that
 * images with the same library, or the same files of a package, share its layer. Each layer has the
 * parent directories of its files. The last one has all directories and the remaining files, so the
 * unpacked tree does not depend on the split.
 */
export function splitLayers(entries: readonly Entry[], options: LayerOptions): Layer[] {
  const { by, most, packageOf = () => undefined } = options;
  if (by === 'single') return [{ name: 'files', entries }];
  const groupOf = by === 'by-library' ? libraryGroups(entries) : packageOf;
  const groups = new Map<string, Entry[]>();
  const rest: Entry[] = [];
  const groupOfPath = new Map<string, string | undefined>();
  for (const entry of entries) {
    if (entry.type === 'directory') continue;
    // Hard links to one file stay in one layer.
    const group =
      entry.type === 'file' && entry.hardlink !== undefined
        ? groupOfPath.get(entry.hardlink)
        : groupOf(entry);
    groupOfPath.set(entry.path, group);
    if (group === undefined) rest.push(entry);
    else groups.set(group, [...(groups.get(group) ?? []), entry]);
  }
  const named = fold(groups, most - 1);
  const layers = [...named].map(([name, members]) => ({
    name,
    entries: reproducibleTimes(withParents(entries, members)),
  }));
  const directories = entries.filter(({ type }) => type === 'directory');
  return [...layers, { name: 'files', entries: inOrder(entries, [...directories, ...rest]) }];
}

/** Merges the smallest groups until at most `most` are left; sorted by name. */
function fold(groups: ReadonlyMap<string, Entry[]>, most: number): Map<string, Entry[]> {
  const byName = [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
  if (byName.length <= most) return new Map(byName);
  const bySize = [...byName].sort(([, a], [, b]) => bytes(b) - bytes(a));
  const kept = new Set(bySize.slice(0, Math.max(0, most - 1)).map(([name]) => name));
  const others = byName.filter(([name]) => !kept.has(name)).flatMap(([, members]) => members);
  return new Map([...byName.filter(([name]) => kept.has(name)), ['others', others]]);
}

function bytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0);
}

function withParents(all: readonly Entry[], members: readonly Entry[]): Entry[] {
  const parents = new Set<string>();
  for (const { path } of members) {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      parents.add(path.slice(0, cut));
    }
  }
  const directories = all.filter(({ type, path }) => type === 'directory' && parents.has(path));
  return inOrder(all, [...directories, ...members]);
}

function inOrder(all: readonly Entry[], some: readonly Entry[]): Entry[] {
  const wanted = new Set(some);
  return all.filter((entry) => wanted.has(entry));
}

/** Matches names of shared objects, for entries without reasons. */
const LIBRARY_NAME = /^(lib|ld[-.]).*\.so(\.[\w.]+)?$/;

/**
 * Returns the library that an entry belongs to: the path of the file at the end of its links. A library's
 * variants for newer processors belong to it.
 */
function libraryGroups(entries: readonly Entry[]): (entry: Entry) => string | undefined {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const targetOf = new Map<string, string>();
  for (const { path, reasons } of entries) {
    for (const reason of reasons) {
      if (reason.kind === 'link-target') targetOf.set(reason.of, path);
    }
  }
  const end = (path: string): string => {
    const next = targetOf.get(path);
    return next === undefined ? path : end(next);
  };
  const isLibrary = ({ path, type, reasons }: Entry): boolean => {
    if (type !== 'file' && type !== 'symlink') return false;
    if (reasons.length === 0) return LIBRARY_NAME.test(baseName(path));
    return reasons.some((reason) => {
      switch (reason.kind) {
        case 'needed':
        case 'interpreter':
        case 'hwcaps':
          return true;
        case 'link-target': {
          const link = byPath.get(reason.of);
          return link !== undefined && isLibrary(link);
        }
        default:
          return false;
      }
    });
  };
  return (entry) => {
    if (!isLibrary(entry)) return undefined;
    const variant = entry.reasons.find((reason) => reason.kind === 'hwcaps');
    return end(variant?.kind === 'hwcaps' ? variant.of : entry.path);
  };
}
