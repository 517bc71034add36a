import { isSecret } from '../evidence/trace/secrets.js';
import type { Trace } from '../evidence/trace/trace.js';
import { isTrace, Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/access.js';
import { runBuild } from '../jail/build/pipeline.js';
import { type JailRecord, requireRecord } from '../jail/record/record.js';
import type { Manifest } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { mergeRequests } from '../resolve/merge-requests.js';

/** Sizes in bytes before and after narrowing. */
export interface Narrowed {
  readonly from: number;
  readonly to: number;
}

/**
 * Removes from a jail what was added to it and a run did not use: builds it as it was before, plus
 * the files that the run used. If the run then fails, restores the jail.
 *
 * @param before the record from before anything was added
 * @param trace the run that succeeded
 * @param run repeats the run
 * @param registry how the jail's sysroot is read if it is an image of a registry
 * @returns the run that succeeded with less; undefined if nothing could be left out
 */
export async function narrow<Run extends { readonly passes: boolean }>(
  root: string,
  before: JailRecord,
  trace: Trace,
  run: () => Promise<Run>,
  registry: RegistryAccess = {},
): Promise<(Run & { readonly narrowed: Narrowed }) | undefined> {
  const wide = requireRecord(root);
  const used = usedSince(before.manifest, trace, new Sysroot(before.request.sysroot));
  const rebuild = async (request: ResolveRequest) =>
    runBuild({
      origin: { kind: 'request', request },
      target: root,
      options: { noSync: true, replaces: true, registry },
    });
  await rebuild(mergeRequests(before.request, used));
  const narrowed = await run();
  const [from, to] = [sizeOf(wide.manifest), sizeOf(requireRecord(root).manifest)];
  if (narrowed.passes && to < from) return { ...narrowed, narrowed: { from, to } };
  await rebuild(wide.request);
  return undefined;
}

/** Returns a request for what a run used and a jail did not have before. */
function usedSince({ entries }: Manifest, trace: Trace, host: Sysroot): ResolveRequest {
  const had = new Set(entries.map(({ path }) => path));
  const [include, directories]: [{ from: string }[], string[]] = [[], []];
  for (const { path, state } of trace.files) {
    if (state !== 'found') continue;
    const found = host.trace(path);
    if (!isTrace(found) || found.path === '/' || (had.has(path) && had.has(found.path))) continue;
    if (isSecret(host, path, found)) continue;
    if (found.stat.type === 'directory') directories.push(path);
    else if (found.stat.type === 'file') include.push({ from: path });
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
