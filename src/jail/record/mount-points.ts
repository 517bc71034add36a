import type { BigIntStats } from 'node:fs';
import { fromBytes } from '../../fs/path-bytes.js';
import { typeOf } from '../../manifest/entry-type.js';
import type { Entry } from '../../manifest/manifest.js';
import { timestamp } from '../../manifest/timestamp.js';
import { readState } from './record.js';
import { MOUNT_POINTS_NAME } from './state.js';

/**
 * Reads the mount points that runs of a jail have created (native/launcher/places.c): paths, parents before children. A
 * path that is no longer empty belongs to the user: see `isMountPoint`.
 *
 * @throws as `readRecord`
 */
export function readMountPoints(root: string): ReadonlySet<string> {
  const bytes = readState(root, MOUNT_POINTS_NAME)?.bytes ?? Buffer.alloc(0);
  const paths: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    if (end < 0) break;
    const path = fromBytes(bytes.subarray(at, end));
    if (isPlain(path)) paths.push(path);
    at = end + 1;
  }
  return new Set(paths.sort());
}

/** Returns whether the file or directory at a noted path can still be a mount point made by a run: it is empty. */
export function isMountPoint(stat: BigIntStats): boolean {
  return stat.isDirectory() || (stat.isFile() && stat.size === 0n && stat.nlink === 1n);
}

/** Returns a mount point as an entry that a build would have made. */
export function mountPointEntry(path: string, stat: BigIntStats): Entry {
  const common = {
    path,
    mode: (stat.mode & 0o7777n).toString(8).padStart(4, '0'),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: timestamp(stat.mtimeNs),
    reasons: [],
  };
  return typeOf(stat) === 'directory'
    ? { type: 'directory', ...common }
    : { type: 'file', ...common, size: 0 };
}

function isPlain(path: string): boolean {
  const [first, ...names] = path.split('/');
  return (
    first === '' &&
    names.length > 0 &&
    names.every((name) => name !== '' && name !== '.' && name !== '..')
  );
}
