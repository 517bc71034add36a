import { JailbuildError } from '../errors.js';
import type { CompressionChoice } from './compression.js';
import { type DiskRun, type DiskTool, runTool } from './disk-tool.js';
import type { FileTree } from './file-tree.js';
import { tar } from './tar.js';

const TAR2SQFS: DiskTool = { program: 'tar2sqfs', package: 'squashfs-tools-ng' };
/** The maximum of times, in seconds, and of owners: both are unsigned 32-bit numbers. */
const LAST_TIME = 2 ** 32 - 1;
/** The extended attributes that squashfs can store (kernel, fs/squashfs/xattr.h). */
const XATTR = /^(user|trusted|security)\./;

/**
 * Writes a tree as a squashfs file system. tar2sqfs reads a tar archive, and so needs no privileges for
 * owners, devices and attributes. (sqfstar of squashfs-tools 4.5 gives the root directory the owner and the
 * time of its own process.)
 *
 * @param file is overwritten
 * @param time seconds since the epoch, the time of the file system and of its root directory
 * @throws JailbuildError USAGE, TOOL_MISSING, WRITE_FAILED, NOT_EXPORTABLE, and as `tar`
 */
export async function writeSquashfs(
  tree: FileTree,
  file: string,
  time: number,
  { kind, level }: CompressionChoice,
  { signal, watch, meter }: DiskRun,
): Promise<void> {
  if (kind === 'none') {
    throw new JailbuildError(
      'USAGE',
      'squashfs: is always compressed: give gzip or zstd, or use erofs',
    );
  }
  const seconds = String(Math.min(time, LAST_TIME));
  const args = [
    ...['--quiet', '--force', '--no-skip', '--exportable', '--compressor', kind],
    ...(level === undefined ? [] : ['--comp-extra', `level=${level}`]),
    ...['--defaults', `uid=0,gid=0,mode=0755,mtime=${seconds}`, file],
  ];
  await runTool(TAR2SQFS, args, {
    input: watch(tar({ ...tree, entries: tree.entries.map(storable) }, meter)),
    signal,
    env: { SOURCE_DATE_EPOCH: seconds },
  });
}

/** Returns the entry without what squashfs cannot store. */
function storable(entry: FileTree['entries'][number]): FileTree['entries'][number] {
  const seconds = Number(entry.mtime.split('.')[0]);
  if (seconds < 0 || seconds > LAST_TIME) {
    throw new JailbuildError(
      'NOT_EXPORTABLE',
      `${entry.path}: its time is out of the range of squashfs, 1970 to 2106: touch it, or set SOURCE_DATE_EPOCH`,
      entry.path,
    );
  }
  const { xattrs = {}, ...rest } = entry;
  const kept = Object.entries(xattrs).filter(([name]) => XATTR.test(name));
  // squashfs has no fractions of seconds.
  const whole = { ...rest, mtime: `${seconds}.000000000` };
  return kept.length === 0 ? whole : { ...whole, xattrs: Object.fromEntries(kept) };
}
