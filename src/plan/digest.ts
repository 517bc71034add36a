import type { Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { JailbuildError, strerror } from '../errors.js';
import type { Entry, FileEntry, Manifest } from './manifest.js';

const CHUNK = 1 << 20;

/**
 * Reads the files of a plan that have no digest yet and notes their SHA-256.
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 * @param onFile called after each file
 * @throws JailbuildError NOT_READABLE
 */
export async function addDigests(
  manifest: Manifest,
  sourceRoot: string,
  onFile: (entry: FileEntry) => void = () => {},
): Promise<Manifest> {
  // Loaded when it is wanted: the main job does without.
  const { createHash } = await import('node:crypto');
  const buffer = Buffer.allocUnsafe(CHUNK);
  const entries: Entry[] = [];
  for (const entry of manifest.entries) {
    if (entry.type !== 'file' || entry.digest !== undefined) {
      entries.push(entry);
      continue;
    }
    const hash = createHash('sha256');
    const { source, content = '' } = entry;
    const digest =
      source === undefined
        ? `sha256:${hash.update(Buffer.from(content, 'base64')).digest('hex')}`
        : digestOf(hash, sourceRoot + source, source, buffer);
    entries.push({ ...entry, digest });
    onFile(entry);
  }
  return { ...manifest, entries };
}

/** The plan with the digests of an earlier one, for files whose source is to all appearance the same. */
export function knownDigests(manifest: Manifest, earlier: Manifest): Manifest {
  const files = new Map(
    earlier.entries.flatMap((entry) =>
      entry.type === 'file' && entry.digest !== undefined ? [[entry.path, entry]] : [],
    ),
  );
  if (files.size === 0) return manifest;
  return {
    ...manifest,
    entries: manifest.entries.map((entry) => {
      const known = files.get(entry.path);
      if (entry.type !== 'file' || known?.digest === undefined) return entry;
      const same =
        entry.source === known.source && entry.size === known.size && entry.mtime === known.mtime;
      return same && entry.content === known.content ? { ...entry, digest: known.digest } : entry;
    }),
  };
}

function digestOf(hash: Hash, realPath: string, source: string, buffer: Buffer): string {
  try {
    const fd = openSync(realPath, 'r');
    try {
      for (;;) {
        const count = readSync(fd, buffer, 0, buffer.length, null);
        if (count === 0) break;
        hash.update(buffer.subarray(0, count));
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${source}: ${strerror(error)}`, source);
  }
  return `sha256:${hash.digest('hex')}`;
}
