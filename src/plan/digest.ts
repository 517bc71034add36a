import type { Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { JailbuildError, strerror } from '../errors.js';
import type { Entry, FileEntry, Manifest } from './manifest.js';

const CHUNK = 1 << 20;

/**
 * Reads every file of a plan and notes its SHA-256.
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
    if (entry.type !== 'file') {
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
