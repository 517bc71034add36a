import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/**
 * Returns the directory of a cache: `$XDG_CACHE_HOME/jailbuild/NAME`, otherwise
 * `~/.cache/jailbuild/NAME` (XDG Base Directory Specification).
 */
export function cacheDirectory(name: string): string {
  const given = process.env.XDG_CACHE_HOME;
  const base = given?.startsWith('/') ? given : path.join(homedir(), '.cache');
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
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx' });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
