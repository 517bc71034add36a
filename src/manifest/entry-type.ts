import type { BigIntStats } from 'node:fs';
import type { Entry } from './manifest.js';

/** Returns the name of a file's type in manifests, which have none for sockets. */
export function typeOf(stat: BigIntStats): Entry['type'] | 'socket' {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character-device';
  if (stat.isBlockDevice()) return 'block-device';
  return stat.isFIFO() ? 'fifo' : 'socket';
}
