import { JailbuildError } from '../../errors.js';
import { isSameValue } from '../../manifest/canonical-json.js';
import type { Manifest } from '../../manifest/manifest.js';
import { refuseMissing } from '../../manifest/missing.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { openSysroot, reopenSysroot } from '../../plan/open-sysroot.js';
import { resolveRequest } from '../../plan/resolve-request.js';
import { settleRequest } from '../../resolve/environment.js';
import { mergeRequests } from '../../resolve/merge-requests.js';
import type { Closure } from '../../resolve/resolve.js';
import { readSourceFacts } from '../engine/source-facts.js';
import { surveySources } from '../engine/source-survey.js';
import type { ManifestSources } from '../manifest-sources.js';
import { type Fingerprint, isHostUnchanged, readFingerprint } from '../record/fingerprint.js';
import { refuseUnprotected } from '../record/protection.js';
import { type JailHistory, readHistory, requireRecord } from '../record/record.js';
import { type RememberedResolution, recall } from '../record/remembered-resolution.js';
import { locateTarget } from '../target.js';
import {
  type BuildJob,
  type BuildOrigin,
  type GivenManifest,
  isOfFile,
  type KnownJob,
  recordedOptions,
} from './job.js';

/** The content of the jail, determined in one of four ways. */
export type Resolution =
  /** By resolving; `began` is the start, in milliseconds since the epoch. */
  | { readonly kind: 'closure'; readonly closure: Closure; readonly began: number }
  /** By the fingerprint of the last build: nothing has changed since. */
  | { readonly kind: 'recorded'; readonly fingerprint: Fingerprint; readonly manifest: Manifest }
  /** By the remembered result of the same request for another jail, on an unchanged host. */
  | { readonly kind: 'remembered'; readonly remembered: RememberedResolution }
  /** By a manifest from the user, compared with its sources. */
  | { readonly kind: 'given'; readonly given: GivenManifest; readonly sources: ManifestSources };

/** A job with the resolved content of its jail. */
export interface Resolved {
  readonly job: KnownJob;
  /** Everything requested, now and in earlier builds. */
  readonly request: ResolveRequest;
  readonly resolution: Resolution;
  /** Real path of the directory that contains the sources; '' for `/`. */
  readonly sourceRoot: string;
}

/**
 * Determines the content of the jail, including what it was built for before.
 *
 * @throws JailbuildError RECORD_MISSING, RECORD_DIFFERS, RECORD_REFUSED, LIBRARY_NOT_FOUND, and as
 *   `resolveRequest` or `ManifestSources.compare`
 */
export async function resolveStep(asked: BuildJob): Promise<Resolved> {
  const job = { ...asked, history: historyOf(asked) };
  refuseOtherOrigin(job);
  const { origin } = job;
  if (origin.kind === 'manifest') return takeManifest(job, origin.given);
  const request = await wholeRequest(job, origin);
  const { allowMissing = false } = recordedOptions(job);
  const began = Date.now();
  const known = fingerprinted(job, request);
  if (known !== undefined) {
    if (!allowMissing) refuseMissing(known.manifest.missing);
    return { job, request, resolution: known, sourceRoot: known.fingerprint.sourceRoot };
  }
  const remembered = mayRemember(job, request) ? recall(request) : undefined;
  if (remembered !== undefined) {
    const { sourceRoot } = remembered;
    return { job, request, resolution: { kind: 'remembered', remembered }, sourceRoot };
  }
  const { noCache } = job.options;
  const reading = { survey: surveySources, readFacts: readSourceFacts, noCache };
  const closure = await resolveRequest(request, reading);
  if (!allowMissing) refuseMissing(closure.missing);
  const resolution = { kind: 'closure', closure, began } as const;
  return { job, request, resolution, sourceRoot: closure.sysroot.prefix };
}

/** Returns the history of the target. A dry run ignores a record that it may not read. */
function historyOf({ target, options }: BuildJob): JailHistory {
  const where = locateTarget(target);
  if (where.existing !== where.path) return {};
  refuseUnprotected(where.path);
  try {
    return readHistory(where.path);
  } catch (error) {
    const unreadable = error instanceof JailbuildError && error.code === 'NOT_READABLE';
    if (!unreadable || !options.dryRun) throw error;
    return {};
  }
}

/** Refuses to combine a manifest with requests: a manifest describes the whole jail. */
function refuseOtherOrigin({ origin, history: { record }, target }: KnownJob): void {
  if (record === undefined) return;
  if ((record.from !== undefined) === (origin.kind === 'manifest')) return;
  const what =
    record.from === undefined
      ? 'was built from programs, not from a manifest: remove it first'
      : `was built from the manifest ${record.from}: rebuild it with build --from, or remove it first`;
  throw new JailbuildError('RECORD_DIFFERS', `${target}: ${what}`, target);
}

async function takeManifest(job: KnownJob, given: GivenManifest): Promise<Resolved> {
  const { manifest, file, sysroot } = given;
  if (!job.options.allowMissing) refuseMissing(manifest.missing);
  const { ManifestSources } = await import('../manifest-sources.js');
  const sources = await ManifestSources.compare(manifest, file, sysroot);
  const { prefix } = sources.sysroot;
  return {
    job,
    request: { ...manifest.request, ...(prefix === '' ? {} : { sysroot: prefix }) },
    resolution: { kind: 'given', given, sources },
    sourceRoot: prefix,
  };
}

/**
 * Returns everything requested, now and in earlier builds, with the sysroot's image or packages as they are now.
 *
 * @throws JailbuildError SYSROOT_DIFFERS, RECORD_MISSING, and as `openSysroot`
 */
export async function wholeRequest(
  job: KnownJob,
  origin: Exclude<BuildOrigin, { kind: 'manifest' }>,
): Promise<ResolveRequest> {
  const { registry } = job.options;
  const { record } = job.history;
  if (origin.kind === 'record') {
    return reopenSysroot((record ?? requireRecord(job.target)).request, registry);
  }
  const request = await openSysroot(origin.request, registry);
  if (record === undefined) return settleRequest(request);
  const isNamed = request.sysroot !== undefined;
  const earlier = isNamed ? record.request : await reopenSysroot(record.request, registry);
  const { sysroot, sysrootImage } = isNamed ? request : earlier;
  const asked = settleRequest({
    ...request,
    ...(sysroot === undefined ? {} : { sysroot }),
    ...(sysrootImage === undefined ? {} : { sysrootImage }),
  });
  const merged = mergeRequests(earlier, asked);
  return isOfFile(job) ? asked : merged;
}

/** Returns whether the result of a request depends only on what the resolver looks at. */
export function mayRemember(
  { options: { digests, noCache } }: BuildJob,
  { profiles, traces }: ResolveRequest,
): boolean {
  return !noCache && !digests && profiles === undefined && traces === undefined;
}

/**
 * Returns the recorded manifest if the request and everything it depends on are unchanged. The resolver does not look
 * at profiles and traces, so requests that name some are resolved again.
 */
function fingerprinted(
  job: KnownJob,
  request: ResolveRequest,
): Extract<Resolution, { kind: 'recorded' }> | undefined {
  const { history } = job;
  const { record } = history;
  if (record === undefined || history.interrupted !== undefined) return undefined;
  if (!mayRemember(job, request)) return undefined;
  if (!isSameValue(request, record.request)) return undefined;
  if (!isSameValue(recordedOptions(job), record.options)) return undefined;
  const fingerprint = readFingerprint(locateTarget(job.target).path, history.stamp);
  return fingerprint !== undefined && isHostUnchanged(fingerprint)
    ? { kind: 'recorded', fingerprint, manifest: record.manifest }
    : undefined;
}
