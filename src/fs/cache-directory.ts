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
