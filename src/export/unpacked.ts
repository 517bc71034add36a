import { createHash } from 'node:crypto';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { DraftDirectory } from '../fs/draft-directory.js';
import type { WorkMeter } from '../manifest/work.js';
import type { Blob } from './blobs.js';
import { type DiskRun, type DiskTool, runTool } from './disk-tool.js';
import type { FileTree } from './file-tree.js';
import { tar, tarHeader } from './tar.js';
import { creationTime } from './times.js';

const TAR: DiskTool = { program: 'tar', package: 'tar' };

/**
 * Returns a tree as a tar archive with a member for the root directory, for programs that would otherwise
 * choose its attributes.
 *
 * @param time of the root directory, in seconds since the epoch
 */
export function* rootedTar(tree: FileTree, time: number, meter: WorkMeter): Generator<Buffer> {
  const mtime = BigInt(time) * 1_000_000_000n;
  const attributes = { mode: 0o755, uid: 0, gid: 0, size: 0, mtime } as const;
  yield tarHeader({ name: './', type: 'directory', ...attributes });
  yield* tar(tree, meter);
}

/**
 * Unpacks an archive that jailbuild made.
 *
 * @param keepOwners for root alone
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED
 */
export async function unpackTar(
  chunks: Iterable<Buffer>,
  directory: string,
  keepOwners: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const keep = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '--preserve-permissions'];
  const own = keepOwners ? '--same-owner' : '--no-same-owner';
  await runTool(TAR, ['-x', ...keep, own, '-C', path.resolve(directory)], {
    signal,
    input: chunks,
  });
}

/**
 * Writes a tree as a new directory, which appears complete or not at all.
 *
 * @returns digest and size of the tree as a tar archive
 * @throws JailbuildError NOT_EXPORTABLE where its owners take the rights of root, TOOL_MISSING, WRITE_FAILED
 */
export async function writeDirectory(
  tree: FileTree,
  directory: string,
  { signal, watch, meter }: DiskRun,
): Promise<Blob> {
  if (process.geteuid?.() !== 0) {
    throw new JailbuildError(
      'NOT_EXPORTABLE',
      `${directory}: only root can give the files of a directory their owners: name a file, NAME.raw, instead`,
      directory,
    );
  }
  const draft = new DraftDirectory(directory);
  try {
    const hash = createHash('sha256');
    let size = 0;
    const digested = function* () {
      const time = Math.max(0, creationTime(tree.entries).getTime() / 1000);
      for (const chunk of watch(rootedTar(tree, time, meter))) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    };
    await unpackTar(digested(), draft.path, true, signal);
    draft.commit();
    return { digest: `sha256:${hash.digest('hex')}`, size };
  } catch (error) {
    throw draft.named(error);
  } finally {
    draft.discard();
  }
}
