import { isTrace } from '../fs/sysroot.js';
import { type LdSoCache, MAX_CACHE_SIZE, parseLdSoCache } from './ld-so-cache.js';
import { readLdSoConf } from './ld-so-conf.js';
import type { ObjectTable } from './objects.js';

export const CACHE_PATH = '/etc/ld.so.cache';

/**
 * How to treat /etc/ld.so.cache: `read` is the loader's own rule; `read-or-conf` uses the
 * directories of /etc/ld.so.conf if there is no cache yet, for a jail that will have one; `none` is
 * for a jail without a cache.
 */
export type CachePolicy = 'read' | 'read-or-conf' | 'none';

/** The cache and configuration that the loaders of one sysroot share, read once and only if needed. */
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

  /** Returns the cache of the sysroot, regardless of the policy. */
  hostCache(): LdSoCache | undefined {
    if (this.#cache === undefined) {
      const { sysroot } = this.objects;
      const found = sysroot.trace(CACHE_PATH);
      if (isTrace(found) && found.stat.type === 'file') {
        const reader = sysroot.open(found);
        try {
          const bytes = reader.read(0, Math.min(reader.size, MAX_CACHE_SIZE + 1));
          this.#cache = parseLdSoCache(bytes, found.path);
        } finally {
          reader.close();
        }
      } else {
        this.#cache = 'absent';
      }
    }
    return this.#cache === 'absent' ? undefined : this.#cache;
  }

  /** The directories searched instead of a cache. */
  insteadOfCache(): readonly string[] {
    const stands = this.#policy === 'read-or-conf' && this.cache() === undefined;
    return stands ? this.confDirectories() : [];
  }

  confDirectories(): readonly string[] {
    this.#confDirectories ??= readLdSoConf(this.objects.sysroot);
    return this.#confDirectories;
  }
}
