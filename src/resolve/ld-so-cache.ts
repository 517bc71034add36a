import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import { cacheFlags } from '../loader/cache-flags.js';
import type { CacheEntry } from '../loader/ld-so-cache.js';
import { writeLdSoCache } from '../loader/ld-so-cache-writer.js';
import type { ObjectTable } from '../loader/objects.js';
import type { CachedLookup } from './cached-lookups.js';
import type { CollectedFile, FileCollection } from './file-collection.js';

export const LD_SO_CACHE = '/etc/ld.so.cache';

/** The names that ldconfig(8) considers. */
const LIBRARY_NAME = /^(?:lib|ld-).*\.so/;

const HWCAPS_DIRECTORY = /^(.+)\/glibc-hwcaps\/([^/]+)$/;

/**
 * Makes an ld.so.cache of the jail's own libraries: those that the loader finds by its cache or
 * default directories, and others in the directories that ldconfig(8) searches. An empty cache is
 * not made. Its time is that of the newest library, so that equal jails have equal caches.
 *
 * @param directories those of ld.so.conf, then the loaders' default ones, in ldconfig's order
 */
export function addGeneratedLdSoCache(
  files: FileCollection,
  objects: ObjectTable,
  lookups: Iterable<CachedLookup>,
  directories: readonly string[],
): void {
  const entries = new Map<string, { entry: CacheEntry; mtimeNs: bigint }>();
  const byteOrders = new Set<'little' | 'big'>();
  const list = (soname: string, path: string, hwcaps: string | undefined, trace: Trace) => {
    const { headers } = objects.parse(trace);
    const flags = cacheFlags(headers);
    byteOrders.add(headers.byteOrder);
    const key = `${soname}\0${flags}\0${headers.byteOrder}\0${hwcaps}`;
    if (entries.has(key)) return;
    entries.set(key, { entry: { soname, path, hwcaps, flags }, mtimeNs: trace.stat.mtimeNs });
  };

  for (const { name, path, level, trace } of lookups) list(name, path, level, trace);
  for (const { path, soname, level, trace } of librariesIn(directories, files, objects)) {
    list(soname, path, level, trace);
  }
  const [byteOrder] = byteOrders;
  if (byteOrder === undefined) return;
  if (byteOrders.size > 1) {
    // No machine runs both; the loader of the other byte order finds its default directories.
    for (const key of entries.keys()) {
      if (!key.includes(`\0${byteOrder}\0`)) entries.delete(key);
    }
  }
  const listed = [...entries.values()];
  let newest = 0n;
  for (const { mtimeNs } of listed) if (mtimeNs > newest) newest = mtimeNs;
  files.addMade(
    LD_SO_CACHE,
    {
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtimeNs: newest,
      content: writeLdSoCache(
        listed.map(({ entry }) => entry),
        byteOrder,
      ),
    },
    { kind: 'ld-cache' },
  );
}

interface ListedLibrary {
  readonly path: string;
  readonly soname: string;
  readonly level: string | undefined;
  readonly trace: Trace;
}

/** Returns the jail's libraries that ldconfig(8) would list, by soname. */
function librariesIn(
  directories: readonly string[],
  files: FileCollection,
  objects: ObjectTable,
): ListedLibrary[] {
  const { sysroot } = objects;
  const spelled = spellings(sysroot, files, directories);
  const found: (ListedLibrary & { readonly rank: number })[] = [];
  for (const file of files.sorted()) {
    const { path } = file;
    const cut = path.lastIndexOf('/');
    const name = path.slice(cut + 1);
    if (!LIBRARY_NAME.test(name) || !isLibraryLike(file)) continue;
    const [, base, level] = HWCAPS_DIRECTORY.exec(path.slice(0, cut)) ?? [];
    const directory = spelled.get(base ?? path.slice(0, cut));
    if (directory === undefined) continue;
    const trace = sysroot.trace(path);
    const soname = isTrace(trace) ? sonameOf(objects, trace, name) : undefined;
    if (!isTrace(trace) || soname !== name) continue;
    const subdirectory = level === undefined ? '' : `/glibc-hwcaps/${level}`;
    const { spelling, rank } = directory;
    found.push({ path: `${spelling}${subdirectory}/${name}`, soname, level, trace, rank });
  }
  return found.sort((a, b) => a.rank - b.rank);
}

function isLibraryLike({ stat, isMade }: CollectedFile): boolean {
  return !isMade && (stat.type === 'file' || stat.type === 'symlink');
}

/** Returns directories by their real paths: the first spelling whose links are all in the jail. */
function spellings(sysroot: Sysroot, files: FileCollection, directories: readonly string[]) {
  const spelled = new Map<string, { readonly spelling: string; readonly rank: number }>();
  for (const [rank, spelling] of directories.entries()) {
    const trace = sysroot.trace(spelling);
    if (!isTrace(trace) || trace.stat.type !== 'directory' || spelled.has(trace.path)) continue;
    const inJail = [...trace.links.map(({ path }) => path), ...trace.left];
    const reachable = inJail.every((path) => files.has(path));
    spelled.set(trace.path, { spelling: reachable ? spelling : trace.path, rank });
  }
  return spelled;
}

/** Returns the name under which ldconfig(8) lists a library; undefined for other files. */
function sonameOf(objects: ObjectTable, trace: Trace, name: string): string | undefined {
  if (trace.stat.type !== 'file') return undefined;
  try {
    const { headers, dynamic } = objects.parse(trace);
    if (headers.type !== 'dyn' || dynamic === undefined) return undefined;
    return dynamic.soname ?? name;
  } catch (error) {
    // A linker script, or another file named lib*.so.
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}
