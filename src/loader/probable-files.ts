import type { ElfFile } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { isTrace, type Trace } from '../fs/sysroot.js';
import { acceptsCacheFlags } from './cache-flags.js';
import { cacheKey } from './cache-order.js';
import type { LdSoCache } from './ld-so-cache.js';
import type { LoaderFiles } from './loader-files.js';

/** Objects of glibc, which has the cache, need this library. */
const GLIBC = /^libc\.so\.6/;

/**
 * Tells which files a process of glibc will probably load, by its cache alone: most libraries are found in it. Look-ups
 * of a file that the loader turns out not to look for leave no trace.
 */
export class ProbableFiles {
  readonly #files: LoaderFiles;
  readonly #asked = new Set<string>();
  #cache: LdSoCache | 'unknown' | undefined = 'unknown';

  constructor(files: LoaderFiles) {
    this.#files = files;
  }

  /** Returns the files for the names that an object needs, except those asked for before, and its interpreter. */
  *of({ headers, interpreter, dynamic }: ElfFile): Generator<Trace> {
    if (dynamic === undefined) return;
    if (interpreter !== undefined) yield* this.#at(interpreter);
    if (this.#cache === 'unknown' && !dynamic.needed.some((name) => GLIBC.test(name))) return;
    for (const name of dynamic.needed) {
      if (this.#asked.has(name)) continue;
      this.#asked.add(name);
      for (const { path, hwcaps, flags } of this.#cached()?.get(cacheKey(name)) ?? []) {
        if (hwcaps === undefined && acceptsCacheFlags(headers, flags)) yield* this.#at(path);
      }
    }
  }

  *#at(path: string): Generator<Trace> {
    if (!path.startsWith('/') || this.#asked.has(path)) return;
    this.#asked.add(path);
    const trace = this.#files.objects.sysroot.ahead.trace(path);
    if (isTrace(trace)) yield trace;
  }

  /** A malformed cache is an error only where the loader would read it. */
  #cached(): LdSoCache | undefined {
    if (this.#cache !== 'unknown') return this.#cache;
    try {
      this.#cache = this.#files.cache();
    } catch (error) {
      if (!(error instanceof JailbuildError)) throw error;
      this.#cache = undefined;
    }
    return this.#cache;
  }
}
