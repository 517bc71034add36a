import { lstatSync, type Stats, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import packageJson from '../../../package.json' with { type: 'json' };
import { errnoOf, JailbuildError } from '../../errors.js';
import type { FileStat } from '../../fs/file-view.js';
import { toBytes } from '../../fs/path-bytes.js';
import type { Observed } from '../../fs/sysroot.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { nanoseconds } from '../../manifest/timestamp.js';
import { type JailRecord, keepState, readState } from './record.js';
import { FINGERPRINT_NAME } from './state.js';
import {
  absentBlocks,
  blockHolds,
  directoryBlocks,
  entryBlocks,
  fileBlocks,
  listBlocks,
  type PlannedFile,
  type SeenFile,
  type StateBlock,
} from './state-blocks.js';
import { readStateFile, stateFileBytes } from './state-file.js';

/** Names the format and its version; a reader passes over one it does not know. */
const FINGERPRINT_SCHEMA = 'jailbuild.fingerprint/2';

/**
 * How long before it was looked at a file must have changed last, in milliseconds: file systems keep
 * times to two seconds at worst, and what changes within one step of their clock has the same time.
 */
const SETTLED = 2000;

/**
 * What the manifest of the record and its verification in the jail rest on, so that the next build may tell by
 * lstat(2) alone that both would come out the same.
 */
export interface Fingerprint {
  /** The real path that the sources are in, '' for `/`. */
  readonly sourceRoot: string;
  readonly host: HostState;
  readonly jail: JailState;
  /** The jail as its record has it, where all of it is as planned, and none of it is a device. */
  readonly whole: WholeJail | undefined;
}

/** What the resolver looked at. */
export type HostState = readonly StateBlock[];

/** What the programs were found not to find in the jail; what they find is the manifest's. */
export interface JailState {
  /** The number of files that they load. */
  readonly files: number;
  readonly absent: readonly StateBlock[];
}

/** A record short of its list of entries, and these as blocks. */
export interface WholeJail {
  readonly record: ShortRecord;
  readonly entries: readonly StateBlock[];
}

/** A record in which nothing is of former plans or of the user. */
export interface ShortRecord extends Omit<JailRecord, 'manifest' | 'former' | 'kept'> {
  readonly manifest: Omit<Manifest, 'entries'>;
}

/**
 * What a resolution has seen, if it can be told later whether it is still so.
 *
 * @param began milliseconds since the epoch; what has changed after it, or just before, may change once
 *   more without having another time
 * @param isPlanned whether the jail has a path
 * @returns undefined where it cannot be told
 */
export function hostState(
  { found, absent, lists }: Observed,
  sourceRoot: string,
  began: number,
  isPlanned: (path: string) => boolean,
): HostState | undefined {
  const passed: string[] = [];
  let isSettled = true;
  function* files(): Generator<SeenFile> {
    for (const [path, seen] of found) {
      if (seen.type === 'directory' && !isPlanned(path)) {
        passed.push(path);
        continue;
      }
      const now = lookAgain(sourceRoot + path);
      const isKnown = now !== undefined && isStill(seen, now);
      if (!isKnown || (seen.type !== 'directory' && now.ctimeMs > began - SETTLED)) {
        isSettled = false;
        return;
      }
      yield { path, stat: now };
    }
  }
  const blocks = fileBlocks(files());
  if (!isSettled) return undefined;
  return [...blocks, ...directoryBlocks(passed), ...absentBlocks(absent), ...listBlocks(lists)];
}

/**
 * What proving a jail has seen in it.
 *
 * @returns undefined where it rests on more than the manifest, as on files of the user's
 */
export function jailState(
  { found, absent, lists }: Observed,
  files: number,
  isPlanned: (path: string) => boolean,
): JailState | undefined {
  for (const path of found.keys()) if (path !== '/' && !isPlanned(path)) return undefined;
  return { files, absent: [...absentBlocks(absent), ...listBlocks(lists)] };
}

/**
 * The jail as its record has it, for the next build to compare it without reading the record.
 *
 * @param isPrivileged whether the build could give files away
 * @returns undefined where something of it is the user's, of a former plan, or a device
 */
export function wholeJail(
  { manifest, former, kept, ...record }: JailRecord,
  isPrivileged: boolean,
): WholeJail | undefined {
  if (former.length > 0 || kept.length > 0) return undefined;
  const { entries, ...others } = manifest;
  let hasDevice = false;
  function* files(): Generator<PlannedFile> {
    for (const entry of entries) {
      const file = plannedFile(entry, isPrivileged);
      hasDevice ||= file === undefined;
      if (file !== undefined) yield file;
    }
  }
  const blocks = entryBlocks(files());
  return hasDevice ? undefined : { record: { ...record, manifest: others }, entries: blocks };
}

const TYPE_BITS = {
  directory: 0o040000,
  file: 0o100000,
  fifo: 0o010000,
  symlink: 0o120000,
} as const;
/** Permission bits that any owner of a file may set, as manifest/differences.ts has them. */
const OWN_BITS = 0o1777;

/** Undefined for a device. */
function plannedFile(entry: Entry, isPrivileged: boolean): PlannedFile | undefined {
  const { path, type, mode, uid, gid, mtime } = entry;
  if (type === 'character-device' || type === 'block-device') return undefined;
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

/** The fingerprint that belongs to a record; undefined if there is none, or it cannot be used. */
export function readFingerprint(
  root: string,
  recordStamp: string | undefined,
): Fingerprint | undefined {
  try {
    const bytes = readState(root, FINGERPRINT_NAME)?.bytes;
    const file = bytes === undefined ? undefined : readStateFile(bytes);
    if (file === undefined) return undefined;
    const head = file.head as FingerprintHead;
    const isOurs =
      head.schema === FINGERPRINT_SCHEMA &&
      head.program === program() &&
      head.stamp === recordStamp;
    if (!isOurs) return undefined;
    const { host = [], absent = [], entries = [] } = file.groups;
    return {
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
  /** The program that resolved: another one may come to another result. */
  readonly program: string;
  /** The record's stamp. */
  readonly stamp: string;
  readonly sourceRoot: string;
  readonly files: number;
  readonly record: ShortRecord | undefined;
}

/** Writes a fingerprint for the current record. Errors are ignored, since it only saves time. */
export function keepFingerprint(
  root: string,
  { sourceRoot, host, jail, whole }: Fingerprint,
): void {
  keepState(root, FINGERPRINT_NAME, (stamp) => {
    const head: FingerprintHead = {
      schema: FINGERPRINT_SCHEMA,
      program: program(),
      stamp,
      sourceRoot,
      files: jail.files,
      record: whole?.record,
    };
    return stateFileBytes(head, { host, absent: jail.absent, entries: whole?.entries ?? [] });
  });
}

/** Whether the host is as it was. */
export function isHostUnchanged({
  host,
  sourceRoot,
}: Pick<Fingerprint, 'host' | 'sourceRoot'>): boolean {
  return holds(() => host.every((block) => blockHolds(block, sourceRoot)));
}

/**
 * Whether the programs find in a jail what they found.
 *
 * @param root the jail's real path; it must have all entries of the record's manifest as planned
 */
export function isJailUnchanged({ jail }: Pick<Fingerprint, 'jail'>, root: string): boolean {
  return holds(() => jail.absent.every((block) => blockHolds(block, root)));
}

/** What cannot be looked at is not as it was. */
export function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function lookAgain(realPath: string): Stats | undefined {
  try {
    return lstatSync(toBytes(realPath), { throwIfNoEntry: false });
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
    // The one counts nanoseconds, the other is floating point.
    Math.abs(Number(seen.mtimeNs) / 1e6 - now.mtimeMs) < 0.001
  );
}

/** This version, and the very file: a program in the making keeps its version. */
export function program(): string {
  const { size, mtimeMs } = statSync(fileURLToPath(import.meta.url));
  return `${packageJson.version} ${size} ${mtimeMs}`;
}
