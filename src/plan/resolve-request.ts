import type { Manifest } from '../manifest/manifest.js';
import { refuseMissing } from '../manifest/missing.js';
import type { ResolveRequest } from '../manifest/request.js';
import { type Additions, needsAdditions } from '../resolve/additions.js';
import { type Closure, resolve } from '../resolve/resolve.js';
import { plan } from '../resolve/to-manifest.js';

/** A request on its way: all that its programs need, and that in the form of a plan. */
export interface PlannedRequest {
  readonly closure: Closure;
  readonly manifest: Manifest;
}

/**
 * Resolves a request with all that its profiles, users, includes and excludes add. Every command that
 * resolves goes through here: build, dry run, update, export, tree and why.
 *
 * @throws JailbuildError as `resolve`, and what reading a profile throws
 */
export async function resolveRequest(request: ResolveRequest): Promise<Closure> {
  return resolve(request, { additions: await loadAdditions(request) });
}

/**
 * Resolves a request and puts the result in the form of a plan.
 *
 * @param allowMissing plan although libraries are missing; they are listed in the manifest
 * @throws JailbuildError LIBRARY_NOT_FOUND, and as `resolveRequest`
 */
export async function planRequest(
  request: ResolveRequest,
  allowMissing: boolean,
): Promise<PlannedRequest> {
  const closure = await resolveRequest(request);
  if (!allowMissing) refuseMissing(closure.missing);
  return { closure, manifest: plan(closure) };
}

/** Reading profiles costs several milliseconds, which the main job need not pay. */
async function loadAdditions(request: ResolveRequest): Promise<Additions | undefined> {
  if (!needsAdditions(request)) return undefined;
  const { additionsOf } = await import('../profile/expand.js');
  return additionsOf(request);
}
