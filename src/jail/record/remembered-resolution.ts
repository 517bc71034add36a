import { createHash } from 'node:crypto';
import path from 'node:path';
import { cacheDirectory, readCacheFile, storeCacheFile } from '../../fs/cache-directory.js';
import { programAndUser } from '../../fs/program-stamp.js';
import { canonicalValue } from '../../manifest/canonical-json.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { type HostState, isHostUnchanged, type JailState } from './fingerprint.js';
import type { StateBlock } from './state-blocks.js';
import { readStateFile, stateFileParts } from './state-file.js';

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
  const bytes = readCacheFile(fileOf(key), MAX_SIZE);
  const file = bytes === undefined ? undefined : readStateFile(bytes);
  if (file === undefined) return undefined;
  const head = file.head as Head;
  if (head.schema !== SCHEMA || head.key !== key) return undefined;
  const { sourceRoot, files, manifest } = head;
  const { host = [], advice = [], absent = [] } = file.groups;
  const isUnchanged = [host, advice].every((state) => isHostUnchanged({ host: state, sourceRoot }));
  return isUnchanged ? { sourceRoot, host, advice, jail: { files, absent }, manifest } : undefined;
}

/** As it is stored. */
export interface NewResolution extends Omit<RememberedResolution, 'host' | 'advice'> {
  readonly host: Iterable<StateBlock>;
  readonly advice: Iterable<StateBlock>;
}

/** Keeps the result of a build. Ignores errors, since it only saves time. */
export function remember(
  request: ResolveRequest,
  { sourceRoot, host, advice, jail, manifest }: NewResolution,
): void {
  if (manifest.entries.length > MAX_ENTRIES) return;
  const key = keyOf(request);
  const file = fileOf(key);
  const head: Head = { schema: SCHEMA, key, sourceRoot, files: jail.files, manifest };
  const bytes = Buffer.concat([...stateFileParts(head, { host, advice, absent: jail.absent })]);
  if (bytes.length > MAX_SIZE) return;
  storeCacheFile(file, bytes, MOST);
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
  return `${programAndUser()}\n${canonicalValue(request)}`;
}

function fileOf(key: string): string {
  const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
  return path.join(cacheDirectory('resolutions'), name);
}
