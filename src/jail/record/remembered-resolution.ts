import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../../errors.js';
import { cacheDirectory, replaceCacheFile } from '../../fs/cache-directory.js';
import { toBytes } from '../../fs/path-bytes.js';
import { canonicalValue } from '../../manifest/canonical-json.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { insecureParent } from '../parents.js';
import { type HostState, isHostUnchanged, type JailState, program } from './fingerprint.js';
import { readStateFile, stateFileBytes } from './state-file.js';

/** Names the format and its version. */
const SCHEMA = 'jailbuild.resolution/1';
/** Above this size, in bytes, reading it back gains little. */
const MAX_SIZE = 4 << 20;
/** Maximum number of entries; larger plans would make larger files. */
const MAX_ENTRIES = 10_000;
/** Maximum number of files; at this number, the older half is removed. */
const MOST = 64;

/**
 * What a request needs, as found by a build of a new jail, with everything it depends on: other new jails for the same
 * request need not resolve it again.
 */
export interface RememberedResolution {
  /** Real path of the directory that contains the sources; '' for `/`. */
  readonly sourceRoot: string;
  readonly host: HostState;
  /** What the advice depends on. */
  readonly advice: HostState;
  /** What the verification of the new jail depends on. */
  readonly jail: JailState;
  readonly manifest: Manifest;
}

/**
 * Returns what an earlier build has found for a request, if lstat(2) shows everything it looked at unchanged.
 *
 * @param request settled, see `settleRequest`
 * @returns undefined also if others could write to the cache
 */
export function recall(request: ResolveRequest): RememberedResolution | undefined {
  const key = keyOf(request);
  const bytes = readOwn(fileOf(key));
  const file = bytes === undefined ? undefined : readStateFile(bytes);
  if (file === undefined) return undefined;
  const head = file.head as Head;
  if (head.schema !== SCHEMA || head.key !== key) return undefined;
  const { sourceRoot, files, manifest } = head;
  const { host = [], advice = [], absent = [] } = file.groups;
  const isUnchanged = [host, advice].every((state) => isHostUnchanged({ host: state, sourceRoot }));
  return isUnchanged ? { sourceRoot, host, advice, jail: { files, absent }, manifest } : undefined;
}

/** Keeps the result of a build. Ignores errors, since it only saves time. */
export function remember(
  request: ResolveRequest,
  { sourceRoot, host, advice, jail, manifest }: RememberedResolution,
): void {
  if (manifest.entries.length > MAX_ENTRIES) return;
  const key = keyOf(request);
  const file = fileOf(key);
  const head: Head = { schema: SCHEMA, key, sourceRoot, files: jail.files, manifest };
  const bytes = stateFileBytes(head, { host, advice, absent: jail.absent });
  if (bytes.length > MAX_SIZE) return;
  try {
    mkdirSync(toBytes(path.dirname(file)), { recursive: true, mode: 0o700 });
    if (insecureParent(path.dirname(file)) !== undefined) return;
    removeOld(path.dirname(file));
    replaceCacheFile(file, bytes);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

interface Head {
  readonly schema: typeof SCHEMA;
  readonly key: string;
  readonly sourceRoot: string;
  /** Number of files that the programs load. */
  readonly files: number;
  readonly manifest: Manifest;
}

/** Includes the user, since users may read different files. */
function keyOf(request: ResolveRequest): string {
  const groups = process.getgroups?.() ?? [];
  const who = [process.geteuid?.(), process.getegid?.(), ...groups].join(' ');
  return `${program()}\n${who}\n${canonicalValue(request)}`;
}

function fileOf(key: string): string {
  const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
  return path.join(cacheDirectory('resolutions'), name);
}

/** Reads a file that only its owner and root could have written; returns undefined for any other. */
function readOwn(file: string): Buffer | undefined {
  try {
    const fd = openSync(
      toBytes(file),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const { uid, mode, size, nlink } = fstatSync(fd);
      const isOurs = uid === process.geteuid?.() && (mode & 0o077) === 0 && nlink === 1;
      if (!isOurs || size > MAX_SIZE || insecureParent(path.dirname(file)) !== undefined) {
        return undefined;
      }
      return readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function removeOld(directory: string): void {
  const names = readdirSync(toBytes(directory), { encoding: 'utf8' });
  if (names.length < MOST) return;
  const files = names.map((name) => {
    const file = path.join(directory, name);
    return { file, time: statSync(toBytes(file), { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  files.sort((a, b) => a.time - b.time);
  for (const { file } of files.slice(0, MOST / 2)) removeQuietly(file);
}

function removeQuietly(file: string): void {
  try {
    rmSync(toBytes(file), { force: true });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
