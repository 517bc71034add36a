import type { Hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { JailbuildError, strerror } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
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
  // Loaded on demand: the main job does not need it.
  const { createHash } = await import('node:crypto');
  const buffer = Buffer.allocUnsafe(CHUNK);
  const tree = new HeldTree(sourceRoot);
  const entries: Entry[] = [];
  const known = new Map<string, string>();
  for (const entry of manifest.entries) {
    if (entry.type !== 'file' || entry.digest !== undefined) {
      entries.push(entry);
      continue;
    }
    const digest =
      (entry.hardlink === undefined ? undefined : known.get(entry.hardlink)) ??
      digestOf(createHash('sha256'), entry, tree, buffer);
    known.set(entry.path, digest);
    entries.push({ ...entry, digest });
    onFile(entry);
  }
  tree.close();
  return { ...manifest, entries };
}

/**
 * The plan with digests and extended attributes of an earlier one, for entries whose source is to all
 * appearance the same.
 */
export function knownDetails(manifest: Manifest, earlier: Manifest): Manifest {
  const detailed = earlier.entries.filter(
    (entry) => entry.xattrs !== undefined || (entry.type === 'file' && entry.digest !== undefined),
  );
  if (detailed.length === 0) return manifest;
  const known = new Map(detailed.map((entry) => [entry.path, entry]));
  return {
    ...manifest,
    entries: manifest.entries.map((entry) => {
      const before = known.get(entry.path);
      if (before === undefined || !isSameSource(entry, before)) return entry;
      return { ...before, reasons: entry.reasons };
    }),
  };
}

/** The reasons may be others. */
function isSameSource(entry: Entry, before: Entry): boolean {
  const { digest, xattrs, reasons, ...rest } = { digest: undefined, ...before };
  return Object.entries(rest).every(([name, value]) => entry[name as keyof Entry] === value);
}

function digestOf(
  hash: Hash,
  { source, content = '' }: FileEntry,
  tree: HeldTree,
  buffer: Buffer,
): string {
  if (source === undefined) {
    return `sha256:${hash.update(Buffer.from(content, 'base64')).digest('hex')}`;
  }
  try {
    const fd = tree.open(source);
    try {
      return readDigest(hash, fd, buffer);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${source}: ${strerror(error)}`, source);
  }
}

/**
 * The digest of what is left to read of an open file, as a manifest has it.
 *
 * @param buffer what it is read through
 * @throws the system's errors
 */
export function readDigest(hash: Hash, fd: number, buffer: Buffer): string {
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) return `sha256:${hash.digest('hex')}`;
    hash.update(buffer.subarray(0, count));
  }
}
