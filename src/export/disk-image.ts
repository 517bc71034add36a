import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { Draft, draftFile } from '../fs/draft.js';
import { isStream, openOutput } from '../fs/open-output.js';
import type { CompressionChoice } from './compression.js';
import { type Destination, STDOUT_PATH } from './destination.js';
import type { DiskRun } from './disk-tool.js';
import { scratchDirectory } from './draft.js';
import type { FileTree } from './file-tree.js';
import { creationTime } from './times.js';
import { type Verity, verityPaths, writeVerity } from './verity.js';

/** Destinations that are file systems. */
export type DiskDestination = Extract<Destination, { kind: 'squashfs' | 'erofs' | 'ext4' }>;

export interface DiskOptions {
  /** Defaults: gzip for squashfs, none for erofs. ext4 has no compression. */
  readonly compression?: CompressionChoice;
  /** Nanoseconds since the epoch. */
  readonly epoch?: bigint;
  /** Whether to also write a hash tree. */
  readonly verity?: boolean;
}

/** A file system in a file. */
export interface DiskImage {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly verity?: Verity;
}

/**
 * Writes a tree as a file system in a file. The same tree gives the same bytes with the same version of the
 * program that makes it. The file appears complete or not at all, after its hash tree.
 *
 * @throws JailbuildError USAGE, TOOL_MISSING, WRITE_FAILED, NOT_EXPORTABLE, and as `tar`
 */
export async function writeDiskImage(
  tree: FileTree,
  destination: DiskDestination,
  options: DiskOptions,
  run: DiskRun,
): Promise<DiskImage> {
  const { kind, path: file } = destination;
  if (kind === 'ext4' && (options.compression?.kind ?? 'none') !== 'none') {
    throw new JailbuildError('USAGE', 'ext4: has no compression: use squashfs or erofs');
  }
  if (file === STDOUT_PATH || isStream(file)) {
    throw new JailbuildError('USAGE', `${kind}: cannot be written to a stream: name a file`);
  }
  const drafts: Draft[] = [];
  const scratch = scratchDirectory();
  try {
    const draft = await openOutput(file, run.signal);
    if (!(draft instanceof Draft)) throw new Error(`${file}: is not a draft`);
    drafts.push(draft);
    await makeFileSystem(tree, destination, path.resolve(draft.path), scratch.path, options, run);
    const { digest, size } = await digestOf(draft.path);
    const written = { digest: `sha256:${digest.toString('hex')}`, size };
    if (!options.verity) {
      draft.commit();
      return written;
    }
    const places = verityPaths(file);
    const hashTree = draftFile(places.tree);
    drafts.push(hashTree);
    const [image, hashes] = [path.resolve(draft.path), path.resolve(hashTree.path)];
    const hash = await writeVerity(image, digest, hashes, scratch.path, run.signal);
    const rootHash = draftFile(places.rootHash);
    drafts.push(rootHash);
    await rootHash.append(Buffer.from(`${hash}\n`));
    hashTree.commit();
    rootHash.commit();
    draft.commit();
    return { ...written, verity: { path: places.tree, rootHash: hash } };
  } finally {
    for (const draft of drafts) draft.discard();
    scratch.remove();
  }
}

async function makeFileSystem(
  tree: FileTree,
  destination: DiskDestination,
  file: string,
  scratch: string,
  { compression, epoch }: DiskOptions,
  run: DiskRun,
): Promise<void> {
  const time = Math.max(0, creationTime(tree.entries, epoch).getTime() / 1000);
  switch (destination.kind) {
    case 'squashfs': {
      const { writeSquashfs } = await import('./squashfs.js');
      return writeSquashfs(tree, file, time, compression ?? { kind: 'gzip' }, run);
    }
    case 'erofs': {
      const { writeErofs } = await import('./erofs.js');
      // Fractions of the last second are later.
      return writeErofs(tree, file, scratch, time + 1, compression ?? { kind: 'none' }, run);
    }
    case 'ext4': {
      const { writeExt4 } = await import('./ext4.js');
      return writeExt4(tree, file, scratch, time, destination.size, run);
    }
  }
}

async function digestOf(file: string): Promise<{ readonly digest: Buffer; readonly size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path.resolve(file), { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    size += (chunk as Buffer).length;
  }
  return { digest: hash.digest(), size };
}
