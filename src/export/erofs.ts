import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import type { Entry } from '../manifest/manifest.js';
import { uuidOfHash } from '../text/uuid.js';
import type { CompressionChoice } from './compression.js';
import { type DiskRun, type DiskTool, runTool } from './disk-tool.js';
import { storeChunks } from './draft.js';
import type { FileTree } from './file-tree.js';
import { rootedTar, unpackTar } from './unpacked.js';

const MKFS: DiskTool = { program: 'mkfs.erofs', package: 'erofs-utils' };
const COMPRESSORS = { gzip: 'deflate', zstd: 'zstd' } as const;

/**
 * Writes a tree as an EROFS file system. mkfs.erofs reads tar archives from version 1.7 on. For older
 * versions the tree is unpacked first, which requires root if it has several owners, devices or
 * extended attributes.
 *
 * @param file is overwritten
 * @param scratch a directory for what mkfs.erofs reads
 * @param time seconds since the epoch, later than any file's: the time of the file system
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED, and as `tar`
 */
export async function writeErofs(
  tree: FileTree,
  file: string,
  scratch: string,
  time: number,
  compression: CompressionChoice,
  { signal, watch, meter }: DiskRun,
): Promise<void> {
  const { stdout, stderr } = await runTool(MKFS, ['--help'], { signal, accept: [0, 1] });
  const takesTar = /--tar\b/.test(stdout + stderr);
  const owner = takesTar ? undefined : ownerOf(tree.entries);
  const source = path.join(scratch, 'source');
  const hash = createHash('sha256');
  const digested = function* () {
    for (const chunk of watch(rootedTar(tree, time - 1, meter))) {
      hash.update(chunk);
      yield chunk;
    }
  };
  if (takesTar) {
    for (const _ of storeChunks(digested(), source)) signal?.throwIfAborted();
  } else {
    mkdirSync(source);
    await unpackTar(digested(), source, owner === undefined, signal);
  }
  const args = [
    ...['--quiet', '--preserve-mtime', `-U${uuidOfHash(hash.digest())}`],
    ...(compression.kind === 'none' ? [] : [compressor(compression)]),
    ...(takesTar ? ['--tar=f'] : []),
    ...(owner === undefined ? [] : [`--force-uid=${owner.uid}`, `--force-gid=${owner.gid}`]),
    ...[file, source],
  ];
  await runTool(MKFS, args, { signal, env: { SOURCE_DATE_EPOCH: String(time) } });
}

function compressor({ kind, level }: CompressionChoice): string {
  const name = kind === 'none' ? kind : COMPRESSORS[kind];
  return `-z${name}${level === undefined ? '' : `,level=${level}`}`;
}

/**
 * Returns the one owner of a tree that a user can unpack; undefined for root, who can unpack any.
 *
 * @throws JailbuildError TOOL_MISSING
 */
function ownerOf(entries: readonly Entry[]): Pick<Entry, 'uid' | 'gid'> | undefined {
  if (process.geteuid?.() === 0) return undefined;
  const [{ uid, gid } = { uid: 0, gid: 0 }] = entries;
  const hard = entries.find(
    (entry) =>
      entry.uid !== uid ||
      entry.gid !== gid ||
      entry.type.endsWith('-device') ||
      entry.xattrs !== undefined,
  );
  if (hard === undefined) return { uid, gid };
  throw new JailbuildError(
    'TOOL_MISSING',
    `${hard.path}: this mkfs.erofs cannot store its owner, device or attributes for a user: ` +
      'install erofs-utils 1.7 or later, or run as root',
    hard.path,
  );
}
