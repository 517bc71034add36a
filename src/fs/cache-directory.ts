import { homedir } from 'node:os';
import path from 'node:path';

/** Returns where what can be had again is kept: `jailbuild` below XDG_CACHE_HOME. */
export function cacheDirectory(): string {
  const given = process.env.XDG_CACHE_HOME;
  const base = given?.startsWith('/') ? given : path.join(homedir(), '.cache');
  return path.join(base, 'jailbuild');
}
