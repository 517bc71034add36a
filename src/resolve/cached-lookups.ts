import type { Trace } from '../fs/sysroot.js';
import type { Edge, VariantEdge } from '../loader/process.js';
import type { SearchRule } from '../manifest/manifest.js';

/** A library that the loader finds by name alone, possibly through its cache. */
export interface CachedLookup {
  readonly name: string;
  /** In the loader's own spelling. */
  readonly path: string;
  /** The CPU feature level that it requires; undefined for the baseline. */
  readonly level: string | undefined;
  readonly trace: Trace;
}

const CACHED_RULES: ReadonlySet<SearchRule> = new Set(['ld.so.cache', 'ld.so.conf', 'default']);

/** The libraries that a cache for the jail must list. */
export class CachedLookups {
  readonly #byName = new Map<string, CachedLookup>();

  /** In the order in which they were looked up. */
  get all(): Iterable<CachedLookup> {
    return this.#byName.values();
  }

  /** Records a look-up, if the cache can answer it. */
  note({ name, rule, to, lookup, path }: Edge): void {
    if (lookup === undefined || path === undefined || !CACHED_RULES.has(rule)) return;
    this.#add({ name, path, level: to.level, trace: lookup });
  }

  /** Records the file that another processor would find. */
  noteVariant({ of, name, variant }: VariantEdge): void {
    if (!CACHED_RULES.has(of.rule)) return;
    this.#add({ name, path: variant.name, level: variant.level, trace: variant.trace });
  }

  #add(lookup: CachedLookup): void {
    const key = `${lookup.path}\0${lookup.name}`;
    if (!this.#byName.has(key)) this.#byName.set(key, lookup);
  }
}
