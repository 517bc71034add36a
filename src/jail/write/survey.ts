import { type BigIntStats, lstatSync } from 'node:fs';
import { JailbuildError, strerror } from '../../errors.js';
import { readLink, toBytes } from '../../fs/path-bytes.js';
import type { DeviceEntry, Entry, Manifest } from '../../manifest/manifest.js';
import { nanoseconds } from '../../manifest/timestamp.js';

/** What is to be done about an entry: the plan compared with what the jail has. */
export interface Finding {
  readonly entry: Entry;
  /** `repair` is for a directory whose mode or owner is not as planned. */
  readonly need: 'create' | 'replace' | 'repair' | 'nothing';
  /** For `nothing`: whether the jail's own is as planned, or is the user's and kept. */
  readonly as?: 'planned' | 'kept';
  /** For `repair`: what the directory has. */
  readonly found?: BigIntStats;
}

export interface SurveyOptions {
  /** What exists stays, whatever it is. */
  readonly noClobber: boolean;
  /** What exists at these paths stays. */
  readonly keep?: ReadonlySet<string> | undefined;
  /** Whether a file has another content, although its size, time and attributes are as planned. */
  readonly isTampered?: ((entry: Entry, found: BigIntStats) => boolean) | undefined;
  /** Directories whose mode and owner are to be as planned. Others keep what their owner did to them. */
  readonly managed?: ReadonlySet<string> | undefined;
  /** Paths at which a directory may be replaced by something else, or the other way round. */
  readonly typeChanges?: ReadonlySet<string> | undefined;
  /** Whether owners are compared; not where the build cannot set them. */
  readonly owners: boolean;
}

/**
 * Compares the plan with the jail by one lstat(2) an entry. Never looks through a
 * symbolic link: below one nothing is taken to exist, and the plan's directory there is a conflict.
 *
 * @throws JailbuildError CONFLICT where one of plan and jail has a directory and the other has not
 * @throws JailbuildError WRITE_FAILED where the jail cannot be read
 */
export function survey(
  manifest: Manifest,
  target: string,
  { noClobber, keep, isTampered, managed, typeChanges, owners }: SurveyOptions,
): Finding[] {
  const absent = new Set<string>();
  const originals = new Map<string, { readonly finding: Finding; readonly found?: BigIntStats }>();
  return manifest.entries.map((entry): Finding => {
    const parent = entry.path.slice(0, entry.path.lastIndexOf('/'));
    const found = absent.has(parent) ? undefined : look(target + entry.path);
    if (found === undefined) {
      if (entry.type === 'directory') absent.add(entry.path);
      const finding = { entry, need: 'create' } as const;
      originals.set(entry.path, { finding });
      return finding;
    }
    if ((entry.type === 'directory') !== found.isDirectory()) {
      if (!typeChanges?.has(entry.path)) throw conflict(entry, target, found);
      if (entry.type === 'directory') absent.add(entry.path);
      const finding = { entry, need: 'replace' } as const;
      originals.set(entry.path, { finding });
      return finding;
    }
    if (entry.type === 'directory') {
      return !managed?.has(entry.path) || hasPlannedAccess(entry, found, owners)
        ? { entry, need: 'nothing', as: 'planned' }
        : { entry, need: 'repair', found };
    }
    const isPlanned =
      isAsPlanned(entry, found, target + entry.path, owners) &&
      isSameFile(entry, found) &&
      !isTampered?.(entry, found);
    const finding: Finding = isPlanned
      ? { entry, need: 'nothing', as: 'planned' }
      : noClobber || keep?.has(entry.path)
        ? { entry, need: 'nothing', as: 'kept' }
        : { entry, need: 'replace' };
    originals.set(entry.path, { finding, found });
    return finding;
  });

  /** Whether a hard link is one to the file that the jail has, and will have, as the original. */
  function isSameFile(entry: Entry, found: BigIntStats): boolean {
    if (entry.type !== 'file' || entry.hardlink === undefined) return true;
    const original = originals.get(entry.hardlink);
    if (original === undefined || original.finding.as === 'kept') return true;
    return (
      original.finding.need === 'nothing' &&
      original.found?.ino === found.ino &&
      original.found.dev === found.dev
    );
  }
}

function look(realPath: string): BigIntStats | undefined {
  try {
    return lstatSync(toBytes(realPath), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    throw new JailbuildError('WRITE_FAILED', `${realPath}: ${strerror(error)}`, realPath);
  }
}

/** By how much Node's utimes(2), which takes floating point and cuts to microseconds, may be off. */
export const TIME_TOLERANCE = 2000n;

export function isAsPlanned(
  entry: Entry,
  found: BigIntStats,
  realPath: string,
  owners: boolean,
): boolean {
  if (owners && !isOwnedAsPlanned(entry, found)) return false;
  const drift = found.mtimeNs - nanoseconds(entry.mtime);
  if (drift >= TIME_TOLERANCE || drift <= -TIME_TOLERANCE) return false;
  if (entry.type === 'symlink') {
    return found.isSymbolicLink() && readLink(realPath) === entry.target;
  }
  if (!hasPlannedAccess(entry, found, owners)) return false;
  switch (entry.type) {
    case 'file':
      return found.isFile() && Number(found.size) === entry.size;
    case 'fifo':
      return found.isFIFO();
    case 'character-device':
      return found.isCharacterDevice() && isDevice(entry, found.rdev);
    case 'block-device':
      return found.isBlockDevice() && isDevice(entry, found.rdev);
    case 'directory':
      return found.isDirectory();
  }
}

function isOwnedAsPlanned({ uid, gid }: Entry, found: BigIntStats): boolean {
  return Number(found.uid) === uid && Number(found.gid) === gid;
}

/** Whether owner and mode are as planned. */
function hasPlannedAccess(entry: Entry, found: BigIntStats, owners: boolean): boolean {
  if (owners && !isOwnedAsPlanned(entry, found)) return false;
  // Who cannot give files away cannot make them set-id for their owner either.
  const planned = Number.parseInt(entry.mode, 8) & (owners ? 0o7777 : 0o1777);
  return Number(found.mode & 0o7777n) === planned;
}

/** Device numbers as stat(2) has them: makedev(3), the C library's. */
function isDevice({ major, minor }: DeviceEntry, rdev: bigint): boolean {
  const [high, low] = [BigInt(major), BigInt(minor)];
  const number =
    ((high & 0xfffff000n) << 32n) |
    ((high & 0xfffn) << 8n) |
    ((low & 0xffffff00n) << 12n) |
    (low & 0xffn);
  return rdev === number;
}

function conflict({ path, type }: Entry, target: string, found: BigIntStats): JailbuildError {
  const has = found.isDirectory()
    ? 'a directory'
    : found.isSymbolicLink()
      ? 'a symbolic link'
      : 'not a directory';
  return new JailbuildError(
    'CONFLICT',
    `${target}${path}: is ${has} in the jail, where the plan has a ${type.replace('-', ' ')}`,
    path,
  );
}
