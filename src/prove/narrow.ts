import path from 'node:path';
import { isSecret } from '../evidence/trace/secrets.js';
import type { Trace } from '../evidence/trace/trace.js';
import { isTrace, Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/access.js';
import { runBuild } from '../jail/build/pipeline.js';
import { type JailRecord, requireRecord } from '../jail/record/record.js';
import { isSameValue } from '../manifest/canonical-json.js';
import type { Manifest } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { mergeRequests } from '../resolve/merge-requests.js';
import type { Lack } from './lacks.js';

/** Sizes in bytes before and after narrowing. */
export interface Narrowed {
  readonly from: number;
  readonly to: number;
}

/** Why a jail keeps everything that was added to it. */
export interface Kept<Run> {
  /** The size of the jail, in bytes. */
  readonly size: number;
  /** The run that failed without the rest; undefined if the jail would be no smaller. */
  readonly failed?: Run;
}

/** What narrowing needs to know of a run. */
interface NarrowableRun {
  readonly passes: boolean;
  readonly trace: Trace;
  readonly lacks: readonly Lack[];
}

/** The number of runs with less, each with what the one before lacked. */
const MAX_ATTEMPTS = 3;

/**
 * Removes from a jail what was added to it and a run did not use: builds it as it was before, plus
 * the files that the run used. If the run then fails, adds what it lacked and tries again; if that
 * does not help, restores the jail.
 *
 * @param before the record from before anything was added
 * @param last the run that succeeded
 * @param repeat repeats the run
 * @param registry how the jail's sysroot is read if it is an image of a registry
 * @returns the run that succeeded with less, or the last one and why the jail keeps everything
 */
export async function narrow<Run extends NarrowableRun>(
  root: string,
  before: JailRecord,
  last: Run,
  repeat: () => Promise<Run>,
  registry: RegistryAccess = {},
): Promise<Run & { readonly narrowed?: Narrowed; readonly kept?: Kept<Run> }> {
  const wide = requireRecord(root);
  const from = sizeOf(wide.manifest);
  const host = new Sysroot(before.request.sysroot);
  const rebuild = async (request: ResolveRequest) =>
    runBuild({
      origin: { kind: 'request', request },
      target: root,
      options: { noSync: true, replaces: true, registry },
    });
  let request = mergeRequests(before.request, usedSince(before.manifest, pathsOf(last), host));
  let failed: Run | undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    await rebuild(request);
    const to = sizeOf(requireRecord(root).manifest);
    if (to >= from) break;
    const run = await repeat();
    if (run.passes) return { ...run, narrowed: { from, to } };
    failed = run;
    const paths = [...pathsOf(run), ...lackedPaths(run.lacks, wide.manifest, host)];
    const more = mergeRequests(request, usedSince(before.manifest, paths, host));
    if (isSameValue(more, request)) break;
    request = more;
  }
  await rebuild(wide.request);
  return { ...last, kept: { size: from, ...(failed === undefined ? {} : { failed }) } };
}

/** Returns the paths that a run found. */
function pathsOf({ trace }: NarrowableRun): string[] {
  return trace.files.filter(({ state }) => state === 'found').map(({ path }) => path);
}

/** Returns what a run lacked that is in a manifest. */
function lackedPaths(lacks: readonly Lack[], { entries }: Manifest, host: Sysroot): string[] {
  const has = new Set(entries.map(({ path }) => path));
  const isThere = (at: string): boolean => {
    const found = host.trace(at);
    return isTrace(found) && has.has(found.path);
  };
  return lacks
    .flatMap(({ path: at, unlisted }) => unlisted?.map((name) => path.posix.join(at, name)) ?? at)
    .filter(isThere);
}

/** Returns a request for those of a run's paths that a jail did not have before. */
function usedSince({ entries }: Manifest, paths: readonly string[], host: Sysroot): ResolveRequest {
  const had = new Set(entries.map(({ path }) => path));
  const [include, directories]: [{ from: string }[], string[]] = [[], []];
  for (const at of paths) {
    const found = host.trace(at);
    if (!isTrace(found) || found.path === '/' || (had.has(at) && had.has(found.path))) continue;
    if (isSecret(host, at, found)) continue;
    if (found.stat.type === 'directory') directories.push(at);
    else if (found.stat.type === 'file') include.push({ from: at });
  }
  return { programs: [], include, directories };
}

/** Returns the size of all files in bytes, hard links counted once. */
function sizeOf({ entries }: Manifest): number {
  return entries.reduce(
    (sum, entry) => sum + (entry.type === 'file' && entry.hardlink === undefined ? entry.size : 0),
    0,
  );
}
