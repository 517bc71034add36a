import { renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ownHome, ownVariable } from './own-environment.js';
import { toBytes } from './path-bytes.js';

/**
 * Returns the directory of a cache: `$XDG_CACHE_HOME/jailbuild/NAME`, otherwise
 * `~/.cache/jailbuild/NAME` (XDG Base Directory Specification).
 */
export function cacheDirectory(name: string): string {
  const given = ownVariable('XDG_CACHE_HOME');
  const base = given?.startsWith('/') ? given : path.join(ownHome(), '.cache');
  return path.join(base, 'jailbuild', name);
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
