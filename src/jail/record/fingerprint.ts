import { lstatSync, type Stats, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import packageJson from '../../../package.json' with { type: 'json' };
import { errnoOf, JailbuildError } from '../../errors.js';
import type { FileStat } from '../../fs/file-view.js';
import { listNames, toBytes } from '../../fs/path-bytes.js';
import type { Observed } from '../../fs/sysroot.js';
import { keepState, readState } from './record.js';
import { FINGERPRINT_NAME } from './state.js';

/** Names the format and its version; a reader passes over one it does not know. */
const FINGERPRINT_SCHEMA = 'jailbuild.fingerprint/1';

/**
 * How long before it was looked at a file must have changed last, in milliseconds: file systems keep
 * times to two seconds at worst, and what changes within one step of their clock has the same time.
 */
const SETTLED = 2000;

/** Numbers that are kept of each file. */
const ROW = 8;

/**
 * What the manifest of the record and its verification in the jail rest on, so that the next build may tell by
 * lstat(2) alone that both would come out the same.
 */
export interface Fingerprint {
  readonly schema: typeof FINGERPRINT_SCHEMA;
  /** The program that resolved: another one may come to another result. */
  readonly program: string;
  /** The record's stamp. */
  readonly record: string;
  /** The real path that the sources are in, '' for `/`. */
  readonly sourceRoot: string;
  readonly host: HostState;
  readonly jail: JailState;
}

/** The paths that the resolver looked at. */
export interface HostState extends Absences {
  /** Files and links, and directories that the jail has. */
  readonly paths: readonly string[];
  /** Mode, uid, gid, mtime, size, ctime, device and inode of each; of directories only the first four count. */
  readonly stats: readonly number[];
  /** Directories that were only passed. */
  readonly passed: readonly string[];
}

/** What the programs were found not to find in the jail; what they find is the manifest's. */
export interface JailState extends Absences {
  /** The number of files that they load. */
  readonly files: number;
}

interface Absences {
  readonly absent: readonly string[];
  /** The names in directories. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
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
  const paths: string[] = [];
  const stats: number[] = [];
  const passed: string[] = [];
  for (const [path, seen] of found) {
    if (seen.type === 'directory' && !isPlanned(path)) {
      passed.push(path);
      continue;
    }
    const now = lookAgain(sourceRoot + path);
    if (now === undefined || !isStill(seen, now)) return undefined;
    if (seen.type !== 'directory' && now.ctimeMs > began - SETTLED) return undefined;
    paths.push(path);
    stats.push(...rowOf(now));
  }
  return { paths, stats, passed, absent, lists: Object.fromEntries(lists) };
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
  return { files, absent, lists: Object.fromEntries(lists) };
}

/** The fingerprint that belongs to a record; undefined if there is none, or it cannot be used. */
export function readFingerprint(
  root: string,
  recordStamp: string | undefined,
): Fingerprint | undefined {
  try {
    const text = readState(root, FINGERPRINT_NAME)?.text;
    const fingerprint: Fingerprint | undefined = text === undefined ? undefined : JSON.parse(text);
    const isOurs =
      fingerprint?.schema === FINGERPRINT_SCHEMA &&
      fingerprint.program === program() &&
      fingerprint.record === recordStamp;
    return isOurs ? fingerprint : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JailbuildError) return undefined;
    throw error;
  }
}

/** Writes a fingerprint for the current record. Errors are ignored, since it only saves time. */
export function keepFingerprint(
  root: string,
  fingerprint: Pick<Fingerprint, 'sourceRoot' | 'host' | 'jail'>,
): void {
  keepState(root, FINGERPRINT_NAME, (record) =>
    JSON.stringify({
      schema: FINGERPRINT_SCHEMA,
      program: program(),
      record,
      ...fingerprint,
    } satisfies Fingerprint),
  );
}

/** Whether the host is as it was. */
export function isHostUnchanged({
  host,
  sourceRoot,
}: Pick<Fingerprint, 'host' | 'sourceRoot'>): boolean {
  const { paths, stats, passed } = host;
  return holds(
    () =>
      paths.every((path, index) => {
        const now = look(sourceRoot + path);
        if (now === undefined) return false;
        const counts = now.isDirectory() ? 4 : ROW;
        const row = rowOf(now);
        for (let at = 0; at < counts; at++) if (row[at] !== stats[index * ROW + at]) return false;
        return true;
      }) &&
      passed.every((path) => look(sourceRoot + path)?.isDirectory()) &&
      isStillAbsent(host, sourceRoot),
  );
}

/**
 * Whether the programs find in a jail what they found.
 *
 * @param root the jail's real path; it must have all entries of the record's manifest as planned
 */
export function isJailUnchanged({ jail }: Pick<Fingerprint, 'jail'>, root: string): boolean {
  return holds(() => isStillAbsent(jail, root));
}

/** What cannot be looked at is not as it was. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function isStillAbsent({ absent, lists }: Absences, root: string): boolean {
  return (
    absent.every((path) => look(root + path) === undefined) &&
    Object.entries(lists).every(([path, names]) => isSameList(names, root + path))
  );
}

function isSameList(names: readonly string[], realPath: string): boolean {
  const now = listNames(realPath).sort();
  return now.length === names.length && now.every((name, index) => name === names[index]);
}

/** Undefined for what is not there; throws the system's errors for what cannot be looked at. */
function look(realPath: string): Stats | undefined {
  return lstatSync(toBytes(realPath), { throwIfNoEntry: false });
}

function lookAgain(realPath: string): Stats | undefined {
  try {
    return look(realPath);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function rowOf({ mode, uid, gid, mtimeMs, size, ctimeMs, dev, ino }: Stats): number[] {
  return [mode, uid, gid, mtimeMs, size, ctimeMs, dev, ino];
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
