import type { BigIntStats } from 'node:fs';
import type { Entry } from './manifest.js';

/** What a manifest calls the type of a file; sockets have no place in one. */
export function typeOf(stat: BigIntStats): Entry['type'] | 'socket' {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character-device';
  if (stat.isBlockDevice()) return 'block-device';
  return stat.isFIFO() ? 'fifo' : 'socket';
}
