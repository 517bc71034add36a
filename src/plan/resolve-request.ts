import type { ShellSyntax } from '../evidence/shell/syntax.js';
import { Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/client.js';
import type { Manifest } from '../manifest/manifest.js';
import { refuseMissing } from '../manifest/missing.js';
import type { ResolveRequest } from '../manifest/request.js';
import { type Additions, needsAdditions, needsPackages } from '../resolve/additions.js';
import { type Closure, type ResolveContext, Resolving } from '../resolve/resolve.js';
import { atOnce } from '../resolve/steps.js';
import { plan } from '../resolve/to-manifest.js';
import { openSysroot } from './open-sysroot.js';

/** A resolved request: everything its programs need, and the plan made of it. */
export interface PlannedRequest {
  readonly closure: Closure;
  readonly manifest: Manifest;
}

export interface RequestContext extends Pick<ResolveContext, 'goesOn'> {
  /** False if nobody reads advice, which requires reading the programs' data. */
  readonly isAdvised?: boolean;
  /** How a sysroot of a registry is read. */
  readonly registry?: RegistryAccess;
}

/**
 * Resolves a request with all that its profiles, users, includes and excludes add. Every command that
 * resolves goes through here: build, dry run, update, export, tree and why.
 *
 * @throws JailbuildError as `resolve`, and what reading a profile throws
 */
export async function resolveRequest(
  asked: ResolveRequest,
  { goesOn = false, isAdvised = true, registry }: RequestContext = {},
): Promise<Closure> {
  const request = await openSysroot(asked, registry);
  const sysroot = new Sysroot(request.sysroot);
  const { bring, warnings } = await loadPackages(request, sysroot);
  const additions = await loadAdditions(request);
  const advise = isAdvised ? await loadAdviser(sysroot) : undefined;
  const context = { sysroot, additions, packages: bring, advise, goesOn };
  const begun = atOnce(Resolving.begin(request, context));
  const { syntax, warnings: unread } = await loadSyntax(begun);
  const closure = begun.finish(syntax);
  return { ...closure, warnings: [...warnings, ...unread, ...closure.warnings] };
}

/**
 * Resolves a request and puts the result in the form of a plan.
 *
 * @param allowMissing plan although libraries are missing; they are listed in the manifest
 * @param registry how a sysroot of a registry is read
 * @throws JailbuildError LIBRARY_NOT_FOUND, and as `resolveRequest`
 */
export async function planRequest(
  request: ResolveRequest,
  allowMissing: boolean,
  registry?: RegistryAccess,
): Promise<PlannedRequest> {
  const closure = await resolveRequest(request, registry === undefined ? {} : { registry });
  if (!allowMissing) refuseMissing(closure.missing);
  return { closure, manifest: plan(closure) };
}

/** What advice rests on says nothing of the closure. */
async function loadAdviser({ probe }: Sysroot) {
  const { openPackages } = await import('../evidence/packages/open.js');
  const { adviserOf } = await import('../resolve/advice/advise.js');
  const { database } = await openPackages(probe);
  return adviserOf(probe, database);
}

/** Package databases are opened only for requests that need packages. */
async function loadPackages(request: ResolveRequest, sysroot: Sysroot) {
  if (!needsPackages(request)) return { bring: undefined, warnings: [] };
  const { openPackages } = await import('../evidence/packages/open.js');
  const { packagesOf } = await import('../resolve/packages/bring-packages.js');
  const { database, warnings } = await openPackages(sysroot);
  const { traces = [], traceScope, packages = [] } = request;
  if (traceScope !== 'packages' || database === undefined)
    return { bring: packagesOf(request, database), warnings };
  const { packagesUsed } = await import('../evidence/trace/owners.js');
  const used = packagesUsed(traces, sysroot, database);
  const whole = { ...request, packages: [...new Set([...packages, ...used])] };
  return { bring: packagesOf(whole, database), warnings };
}

/** The parser takes 20 ms to load, which only scripts need. */
async function loadSyntax({ followsScripts }: Resolving): Promise<{
  readonly syntax?: ShellSyntax;
  readonly warnings: readonly string[];
}> {
  if (!followsScripts) return { warnings: [] };
  const { loadShellSyntax } = await import('../evidence/shell/syntax.js');
  try {
    return { syntax: await loadShellSyntax(), warnings: [] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { warnings: [`commands of shell scripts do not come along: ${why}`] };
  }
}

/** Reading profiles costs several milliseconds, which the main job need not pay. */
async function loadAdditions(request: ResolveRequest): Promise<Additions | undefined> {
  if (!needsAdditions(request)) return undefined;
  const { additionsOf } = await import('../profile/expand.js');
  return additionsOf(request);
}
