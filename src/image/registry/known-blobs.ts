import { createHash } from 'node:crypto';
import path from 'node:path';
import { cacheDirectory, readCacheFile, storeCacheFile } from '../../fs/cache-directory.js';
import type { RegistryName } from './name.js';

/** Maximum number of repositories remembered for a blob. */
const MOST = 4;
/** Maximum size of the file of a blob in bytes; names are shorter than 256 characters (distribution-spec). */
const MAX_SIZE = 4096;

/**
 * Remembers which repositories of a registry have a blob, so that it can be mounted instead of sent again. Entries may
 * be outdated; the registry decides.
 */
export class KnownBlobs {
  readonly #directory: string;
  readonly #repository: string;

  constructor({ host, repository }: RegistryName) {
    const name = createHash('sha256').update(host).digest('hex').slice(0, 32);
    this.#directory = path.join(cacheDirectory('registries'), name);
    this.#repository = repository;
  }

  /** Returns other repositories that have a blob, latest first. */
  repositoriesOf(digest: string): readonly string[] {
    return this.#read(digest).filter((name) => name !== this.#repository);
  }

  /** Remembers that this repository has a blob. An unwritable cache is ignored. */
  add(digest: string): void {
    const known = this.#read(digest);
    if (known[0] === this.#repository) return;
    const all = [this.#repository, ...known.filter((name) => name !== this.#repository)];
    storeCacheFile(this.#file(digest), `${all.slice(0, MOST).join('\n')}\n`);
  }

  #file(digest: string): string {
    return path.join(this.#directory, digest.replace(':', '-'));
  }

  #read(digest: string): readonly string[] {
    const text = readCacheFile(this.#file(digest), MAX_SIZE)?.toString() ?? '';
    return text.split('\n').filter(Boolean);
  }
}
