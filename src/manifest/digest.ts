import type { Hash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { JailbuildError, strerror } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import { type Piece, type SparseFiles, zeros } from '../fs/sparse-files.js';
import type { Entry, FileEntry, Manifest } from './manifest.js';
import { fileTotals, WorkMeter, type WorkProgress } from './work.js';

const CHUNK = 1 << 20;

/**
 * Adds the SHA-256 of every file of a plan or tree that has no digest yet.
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 * @param onWork called while files are read
 * @param sparse where sources have holes, which then are not read
 * @throws JailbuildError NOT_READABLE
 */
export async function addDigests<T extends Pick<Manifest, 'entries'>>(
  manifest: T,
  sourceRoot: string,
  onWork?: (progress: WorkProgress) => void,
  sparse?: SparseFiles,
): Promise<T> {
  // Loaded on demand: the main job does not need it.
  const { createHash } = await import('node:crypto');
  const buffer = Buffer.allocUnsafe(CHUNK);
  const tree = new HeldTree(sourceRoot);
  const entries: Entry[] = [];
  const known = new Map<string, string>();
  const unread = manifest.entries.filter((entry) => isWithoutDigest(entry));
  const meter = new WorkMeter('hash', fileTotals(unread), onWork);
  for (const entry of manifest.entries) {
    if (!isWithoutDigest(entry)) {
      entries.push(entry);
      continue;
    }
    const digest =
      (entry.hardlink === undefined ? undefined : known.get(entry.hardlink)) ??
      (await digestOf(createHash('sha256'), entry, tree, { buffer, meter, sparse }));
    known.set(entry.path, digest);
    entries.push({ ...entry, digest });
  }
  tree.close();
  return { ...manifest, entries };
}

function isWithoutDigest(entry: Entry): entry is FileEntry {
  return entry.type === 'file' && entry.digest === undefined;
}

/**
 * Returns the plan with the digests and extended attributes of an earlier one, for entries that are
 * otherwise unchanged, including the size, time and owner of their source.
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

/** Compares everything except digest, extended attributes and reasons. */
function isSameSource(entry: Entry, before: Entry): boolean {
  const { digest, xattrs, reasons, ...rest } = { digest: undefined, ...before };
  return Object.entries(rest).every(([name, value]) => entry[name as keyof Entry] === value);
}

interface Reading {
  readonly buffer: Buffer;
  readonly meter: WorkMeter;
  readonly sparse: SparseFiles | undefined;
}

/**
 * Yields the content of a file piece by piece, with zeros for holes; stops at the end of a file
 * that was shortened.
 */
function* withHoles(fd: number, pieces: readonly Piece[], buffer: Buffer): Generator<Buffer> {
  for (const { at, length, isHole } of pieces) {
    for (let done = 0; done < length; ) {
      const wanted = Math.min(length - done, buffer.length, isHole ? zeros().length : length);
      const count = isHole ? wanted : readSync(fd, buffer, 0, wanted, at + done);
      if (count === 0) return;
      yield isHole ? zeros().subarray(0, count) : buffer.subarray(0, count);
      done += count;
    }
  }
}

async function digestOf(
  hash: Hash,
  { source, content = '' }: FileEntry,
  tree: HeldTree,
  { buffer, meter, sparse }: Reading,
): Promise<string> {
  if (source === undefined) {
    meter.add(Buffer.byteLength(content, 'base64'), 1);
    return `sha256:${hash.update(Buffer.from(content, 'base64')).digest('hex')}`;
  }
  try {
    const fd = tree.open(source);
    try {
      const take = async (bytes: Buffer): Promise<void> => {
        hash.update(bytes);
        meter.add(bytes.length);
        await meter.turn();
      };
      if (sparse?.has(source)) {
        for (const bytes of withHoles(
          fd,
          sparse.pieces(source, fstatSync(fd, { bigint: true })),
          buffer,
        )) {
          await take(bytes);
        }
      } else {
        for (;;) {
          const count = readSync(fd, buffer, 0, buffer.length, null);
          if (count === 0) break;
          await take(buffer.subarray(0, count));
        }
      }
      meter.add(0, 1);
      return `sha256:${hash.digest('hex')}`;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${source}: ${strerror(error)}`, source);
  }
}

/**
 * Returns the digest of the rest of an open file, as in manifests.
 *
 * @param buffer the buffer to read into
 * @throws system errors
 */
export function readDigest(hash: Hash, fd: number, buffer: Buffer): string {
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) return `sha256:${hash.digest('hex')}`;
    hash.update(buffer.subarray(0, count));
  }
}
