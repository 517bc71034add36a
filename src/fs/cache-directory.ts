import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../errors.js';
import { insecureParent } from './insecure-parent.js';
import { ownHome, ownVariable } from './own-environment.js';
import { listNames, toBytes } from './path-bytes.js';

/** Root's caches if others control its own cache directory (Filesystem Hierarchy Standard). */
const OF_SYSTEM = '/var/cache';

/**
 * Returns the directory of a cache: `$XDG_CACHE_HOME/jailbuild/NAME`, otherwise `~/.cache/jailbuild/NAME` (XDG Base
 * Directory Specification). For root it is `/var/cache/jailbuild/NAME` if others could change that, as with sudo and
 * the home of a user.
 */
export function cacheDirectory(name: string): string {
  const given = ownVariable('XDG_CACHE_HOME');
  const own = given?.startsWith('/') ? given : path.join(ownHome(), '.cache');
  const place = path.join(own, 'jailbuild', name);
  const isShared = process.geteuid?.() === 0 && changersOf(place) !== undefined;
  return isShared ? path.join(OF_SYSTEM, 'jailbuild', name) : place;
}

/** Returns the first existing directory on the way to a file that others could change, and why they could. */
export function changersOf(
  file: string,
): { readonly path: string; readonly why: string } | undefined {
  return insecureParent(existingPart(file));
}

/**
 * Reads a file of a cache that only the caller and root could have written, into memory of its own.
 *
 * @param most maximum size in bytes
 * @returns undefined for any other file, and if none can be read
 */
export function readCacheFile(file: string, most: number): Buffer | undefined {
  try {
    const fd = openSync(
      toBytes(file),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const { uid, mode, size, nlink } = fstatSync(fd);
      const isOurs = uid === process.geteuid?.() && (mode & 0o077) === 0 && nlink === 1;
      if (!isOurs || size > most || insecureParent(path.dirname(file)) !== undefined) {
        return undefined;
      }
      const bytes = Buffer.from(new ArrayBuffer(size));
      return readSync(fd, bytes) === size ? bytes : undefined;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/**
 * Stores a file of a cache, unless others could write to its directory or to one above. Ignores system errors, since a
 * cache only saves time.
 *
 * @param most maximum number of files in the directory; at this number, the older half is removed
 */
export function storeCacheFile(
  file: string,
  content: string | Uint8Array,
  most = Number.POSITIVE_INFINITY,
): void {
  const directory = path.dirname(file);
  try {
    if (changersOf(directory) !== undefined) return;
    mkdirSync(toBytes(directory), { recursive: true, mode: 0o700 });
    if (most < Number.POSITIVE_INFINITY) removeOld(directory, most);
    replaceCacheFile(file, content);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

/** With sudo, the home may be that of the user: nothing must be created there. */
function existingPart(directory: string): string {
  return existsSync(toBytes(directory)) ? directory : existingPart(path.dirname(directory));
}

function removeOld(directory: string, most: number): void {
  const names = listNames(directory);
  if (names.length < most) return;
  const files = names.map((name) => {
    const file = path.join(directory, name);
    return { file, time: statSync(toBytes(file), { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  files.sort((a, b) => a.time - b.time);
  for (const { file } of files.slice(0, most / 2)) rmSync(toBytes(file), { force: true });
}

/**
 * Replaces a file of a cache by one rename(2), readable by its owner alone. A failure leaves the file as it was.
 *
 * @throws system errors
 */
export function replaceCacheFile(file: string, content: string | Uint8Array): void {
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(toBytes(draft), content, { mode: 0o600, flag: 'wx' });
    renameSync(toBytes(draft), toBytes(file));
  } catch (error) {
    rmSync(toBytes(draft), { force: true });
    throw error;
  }
}
