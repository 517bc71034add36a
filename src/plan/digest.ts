import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
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
  const buffer = Buffer.allocUnsafe(CHUNK);
  const entries: Entry[] = [];
  for (const entry of manifest.entries) {
    if (entry.type !== 'file') {
      entries.push(entry);
      continue;
    }
    const digest = await digestOf(sourceRoot + entry.source, entry.source, buffer);
    entries.push({ ...entry, digest });
    onFile(entry);
  }
  return { ...manifest, entries };
}

async function digestOf(realPath: string, source: string, buffer: Buffer): Promise<string> {
  const hash = createHash('sha256');
  try {
    const handle = await open(realPath, 'r');
    try {
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) break;
        hash.update(buffer.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${source}: ${strerror(error)}`, source);
  }
  return `sha256:${hash.digest('hex')}`;
}
