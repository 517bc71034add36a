import { lstatSync, type Stats } from 'node:fs';
import { errnoOf, JailbuildError } from '../../errors.js';
import type { FileStat } from '../../fs/file-view.js';
import { toBytes } from '../../fs/path-bytes.js';
import { program } from '../../fs/program-stamp.js';
import { SETTLED } from '../../fs/settled.js';
import type { Observed } from '../../fs/sysroot.js';
import type { DeviceEntry, Entry, Manifest } from '../../manifest/manifest.js';
import { nanoseconds } from '../../manifest/timestamp.js';
import { type JailRecord, keepState, readState } from './record.js';
import { FINGERPRINT_NAME } from './state.js';
import {
  absentBlocks,
  blockHolds,
  CHANGED,
  directoryBlocks,
  entryBlocks,
  fileBlocks,
  listBlocks,
  numbersOf,
  type PlannedFile,
  type SeenFile,
  type StateBlock,
  stampBlocks,
} from './state-blocks.js';
import { readStateFile, stateFileParts } from './state-file.js';

/** Name and version of the format; readers ignore versions they do not know. */
const FINGERPRINT_SCHEMA = 'jailbuild.fingerprint/2';

/**
 * What the recorded manifest and its verification depend on, so that the next build can determine by lstat(2) alone
 * that both would be the same.
 */
export interface Fingerprint {
  /** Real path of the directory that contains the sources; '' for `/`. */
  readonly sourceRoot: string;
  readonly host: HostState;
  readonly jail: JailState;
  /** The jail as recorded, if all of it is as planned and it contains no device nodes. */
  readonly whole: WholeJail | undefined;
}

/** A fingerprint as it was read. */
export interface FoundFingerprint extends Fingerprint {
  /** Stamp of its file, in which its blocks are in this order: host, jail, whole. */
  readonly stamp: string;
}

/** A fingerprint to be written, whose blocks need not be in memory at once. */
export interface NewFingerprint extends Omit<Fingerprint, 'host' | 'whole'> {
  readonly host: Iterable<StateBlock>;
  readonly whole:
    | { readonly record: ShortRecord; readonly entries: Iterable<StateBlock> }
    | undefined;
}

/** Everything the resolver looked at. */
export type HostState = readonly StateBlock[];

/** Paths in the jail that programs looked for in vain; the files they found are in the manifest. */
export interface JailState {
  /** Number of files that the programs load. */
  readonly files: number;
  readonly absent: readonly StateBlock[];
}

/** A record without its list of entries, which are stored as blocks. */
export interface WholeJail {
  readonly record: ShortRecord;
  readonly entries: readonly StateBlock[];
}

/** A record without entries of former plans or of the user. */
export interface ShortRecord extends Omit<JailRecord, 'manifest' | 'former' | 'kept'> {
  readonly manifest: Omit<Manifest, 'entries'>;
}

/**
 * Returns what a resolution has seen, for later comparison.
 *
 * @param began milliseconds since the epoch; a file changed after it, or shortly before, could change again without a
 * different time
 * @param isPlanned whether a path is planned in the jail
 * @returns undefined if the comparison would not be reliable; blocks of surveyed files are made each time they are asked
 * for
 */
export function hostState(
  { found, surveyed, absent, lists, stamped, numbersOf }: Observed,
  sourceRoot: string,
  began: number,
  isPlanned: (path: string) => boolean,
): Iterable<StateBlock> | undefined {
  const passed: string[] = [];
  let isSettled = true;
  const settled = (numbers: readonly number[] | undefined) => {
    const changed = numbers?.[CHANGED] ?? Number.POSITIVE_INFINITY;
    isSettled &&= changed <= began - SETTLED;
    return numbers;
  };
  function* files(): Generator<SeenFile> {
    for (const [path, seen] of found) {
      if (seen.type === 'directory' && !isPlanned(path)) {
        passed.push(path);
        continue;
      }
      const known = numbersOf?.(path) ?? lookAgain(sourceRoot + path, seen);
      const numbers = seen.type === 'directory' ? known : settled(known);
      isSettled &&= numbers !== undefined;
      if (!isSettled || numbers === undefined) return;
      yield { path, numbers };
    }
  }
  function* surveyedFiles(): Generator<SeenFile> {
    for (const path of surveyed) {
      const numbers = numbersOf?.(path);
      if (numbers !== undefined) yield { path, numbers };
    }
  }
  const blocks = [...fileBlocks(files())];
  for (const path of surveyed) if (isSettled) settled(numbersOf?.(path));
  if (!isSettled) return undefined;
  const stamps: SeenFile[] = [];
  for (const path of stamped) {
    const seen = found.get(path);
    if (seen?.type !== 'directory') continue;
    const numbers = settled(lookAgain(sourceRoot + path, seen));
    if (numbers !== undefined) stamps.push({ path, numbers });
  }
  if (!isSettled) return undefined;
  blocks.push(
    ...stampBlocks(stamps),
    ...directoryBlocks(passed),
    ...absentBlocks(absent),
    ...listBlocks(lists),
  );
  return iterable(function* () {
    yield* blocks;
    yield* fileBlocks(surveyedFiles());
  });
}

/** Returns items that are made each time they are asked for. */
function iterable<T>(make: () => Iterator<T>): Iterable<T> {
  return { [Symbol.iterator]: make };
}

/**
 * Returns what a verification has seen in the jail.
 *
 * @returns undefined if it depends on more than the manifest, such as files of the user
 */
export function jailState(
  { found, surveyed, absent, lists }: Observed,
  files: number,
  isPlanned: (path: string) => boolean,
): JailState | undefined {
  for (const path of found.keys()) if (path !== '/' && !isPlanned(path)) return undefined;
  for (const path of surveyed) if (!isPlanned(path)) return undefined;
  return { files, absent: [...absentBlocks(absent), ...listBlocks(lists)] };
}

/**
 * Returns the jail as recorded, so that the next build can compare it without reading the record.
 *
 * @param isPrivileged whether the build could change owners
 * @returns undefined if part of it is the user's, a former plan's, or a device node; blocks are made each time they are
 * asked for
 */
export function wholeJail(
  { manifest, former, kept, ...record }: JailRecord,
  isPrivileged: boolean,
): NewFingerprint['whole'] {
  if (former.length > 0 || kept.length > 0) return undefined;
  const { entries, ...others } = manifest;
  if (entries.some(isDevice)) return undefined;
  function* files(): Generator<PlannedFile> {
    for (const entry of entries) if (!isDevice(entry)) yield plannedFile(entry, isPrivileged);
  }
  const blocks = iterable(() => entryBlocks(files()));
  return { record: { ...record, manifest: others }, entries: blocks };
}

const TYPE_BITS = {
  directory: 0o040000,
  file: 0o100000,
  fifo: 0o010000,
  symlink: 0o120000,
} as const;
/** Permission bits that any owner of a file may set, as in manifest/differences.ts. */
const OWN_BITS = 0o1777;

function isDevice(entry: Entry): entry is DeviceEntry {
  return entry.type === 'character-device' || entry.type === 'block-device';
}

function plannedFile(entry: Exclude<Entry, DeviceEntry>, isPrivileged: boolean): PlannedFile {
  const { path, type, mode, uid, gid, mtime } = entry;
  const bits = Number.parseInt(mode, 8) & (isPrivileged ? 0o7777 : OWN_BITS);
  return {
    path,
    mode: TYPE_BITS[type] | bits,
    owner: isPrivileged ? { uid, gid } : undefined,
    mtime: Number(nanoseconds(mtime)) / 1e6,
    size: type === 'file' ? entry.size : 0,
    ...(type === 'symlink' ? { target: entry.target } : {}),
    ...(type === 'file' ? { hardlink: entry.hardlink } : {}),
  };
}

/** Returns the fingerprint that belongs to a record, or undefined if it is missing or unusable. */
export function readFingerprint(
  root: string,
  recordStamp: string | undefined,
): FoundFingerprint | undefined {
  try {
    const state = readState(root, FINGERPRINT_NAME);
    const file = state === undefined ? undefined : readStateFile(state.bytes);
    if (state === undefined || file === undefined) return undefined;
    const head = file.head as FingerprintHead;
    const isOurs =
      head.schema === FINGERPRINT_SCHEMA &&
      head.program === program() &&
      head.stamp === recordStamp;
    if (!isOurs) return undefined;
    const { host = [], absent = [], entries = [] } = file.groups;
    return {
      stamp: state.stamp,
      sourceRoot: head.sourceRoot,
      host,
      jail: { files: head.files, absent },
      whole: head.record === undefined ? undefined : { record: head.record, entries },
    };
  } catch (error) {
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}

interface FingerprintHead {
  readonly schema: typeof FINGERPRINT_SCHEMA;
  /** Identifies the resolver; another version may return another result. */
  readonly program: string;
  /** The record's stamp. */
  readonly stamp: string;
  readonly sourceRoot: string;
  readonly files: number;
  readonly record: ShortRecord | undefined;
}

/** Writes a fingerprint for the current record. Ignores errors, since it only saves time. */
export function keepFingerprint(root: string, fingerprint: NewFingerprint): void {
  keepState(root, FINGERPRINT_NAME, (stamp) => fingerprintParts(stamp, fingerprint));
}

function fingerprintParts(
  stamp: string,
  { sourceRoot, host, jail, whole }: NewFingerprint,
): Generator<Buffer> {
  const head: FingerprintHead = {
    schema: FINGERPRINT_SCHEMA,
    program: program(),
    stamp,
    sourceRoot,
    files: jail.files,
    record: whole?.record,
  };
  return stateFileParts(head, { host, absent: jail.absent, entries: whole?.entries ?? [] });
}

/** A fingerprint that belongs to the record of any jail of the same plan, once the stamp of the record is put in. */
export interface OpenFingerprint {
  /** Everything before the head; the host's blocks come first, then those of absent paths and of entries in the jail. */
  readonly blocks: readonly Buffer[];
  /** The head before and behind the stamp. Its length and the checksum follow. */
  readonly head: Buffer;
  readonly rest: Buffer;
}

/** Returns a fingerprint without the stamp of the record. */
export function openFingerprint(fingerprint: NewFingerprint): OpenFingerprint {
  const parts = [...fingerprintParts('', fingerprint)];
  const text = parts.at(-2) ?? Buffer.alloc(0);
  // What precedes the stamp has no member of that name.
  const at = text.indexOf(STAMP_MEMBER) + STAMP_MEMBER.length;
  return { blocks: parts.slice(0, -2), head: text.subarray(0, at), rest: text.subarray(at) };
}

const STAMP_MEMBER = '"stamp":"';

/** Returns whether the host is unchanged. */
export function isHostUnchanged({
  host,
  sourceRoot,
}: Pick<NewFingerprint, 'host' | 'sourceRoot'>): boolean {
  return holds(() => {
    for (const block of host) if (!blockHolds(block, sourceRoot)) return false;
    return true;
  });
}

/**
 * Returns whether programs would find the same files in a jail.
 *
 * @param root the jail's real path; all entries of the recorded manifest must be as planned
 */
export function isJailUnchanged({ jail }: Pick<Fingerprint, 'jail'>, root: string): boolean {
  return holds(() => jail.absent.every((block) => blockHolds(block, root)));
}

/** Counts anything unreadable as changed. */
export function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** Returns the numbers of lstat(2), or undefined if they are no longer what was seen. */
function lookAgain(realPath: string, seen: FileStat): readonly number[] | undefined {
  try {
    const now = lstatSync(toBytes(realPath), { throwIfNoEntry: false });
    return now !== undefined && isStill(seen, now) ? numbersOf(now) : undefined;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function isStill(seen: FileStat, now: Stats): boolean {
  return (
    seen.identity === `${now.dev}:${now.ino}` &&
    seen.mode === (now.mode & 0o7777) &&
    seen.uid === now.uid &&
    seen.gid === now.gid &&
    seen.size === now.size &&
    // One is in nanoseconds, the other in floating point.
    Math.abs(Number(seen.mtimeNs) / 1e6 - now.mtimeMs) < 0.001
  );
}
