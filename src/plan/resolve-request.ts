import type { PackageDatabase } from '../evidence/packages/package.js';
import type { ShellSyntax } from '../evidence/shell/syntax.js';
import type { ReadFacts } from '../fs/file-facts.js';
import type { Survey } from '../fs/survey.js';
import { Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/access.js';
import type { Manifest } from '../manifest/manifest.js';
import { refuseMissing } from '../manifest/missing.js';
import type { ResolveRequest } from '../manifest/request.js';
import { atOnce } from '../manifest/steps.js';
import { type Additions, needsAdditions, needsPackages } from '../resolve/additions.js';
import { KeptFiles } from '../resolve/process/kept-files.js';
import { type Closure, type ResolveContext, Resolving } from '../resolve/resolve.js';
import { plan } from '../resolve/to-manifest.js';
import { openSysroot } from './open-sysroot.js';

/** A resolved request: everything its programs need, and the resulting plan. */
export interface PlannedRequest {
  readonly closure: Closure;
  readonly manifest: Manifest;
}

export interface RequestContext extends Pick<ResolveContext, 'goesOn'> {
  /** Read each file again, and keep nothing of it. */
  readonly noCache?: boolean | undefined;
  /** False if advice is not needed; advice requires reading the programs' data. */
  readonly isAdvised?: boolean;
  /** How a sysroot of a registry is read. */
  readonly registry?: RegistryAccess | undefined;
  readonly survey?: SurveyTrees | undefined;
  /** Returns what reads several files at once; undefined if each is better read when it is needed. */
  readonly readFacts?: ((prefix: string) => ReadFacts | undefined) | undefined;
}

/** How files are read. */
export type Reading = Pick<RequestContext, 'registry' | 'noCache'>;

/**
 * Inspects all files below directories of a root at once.
 *
 * @param prefix the root's real path, '' for `/`
 * @returns undefined if each file is better inspected when it is needed
 */
export type SurveyTrees = (prefix: string, trees: readonly string[]) => Promise<Survey | undefined>;

/**
 * Resolves a request with everything that its profiles, users, includes and excludes add. All
 * commands that resolve use it: build, dry run, update, export, tree and why.
 *
 * @throws JailbuildError as `resolve`, and as reading profiles
 */
export async function resolveRequest(
  asked: ResolveRequest,
  reading: RequestContext = {},
): Promise<Closure> {
  const { goesOn = false, isAdvised = true, registry, survey, noCache = false } = reading;
  const request = await openSysroot(asked, registry);
  const kept = noCache ? undefined : KeptFiles.open();
  const sysroot = new Sysroot(request.sysroot);
  const { bring, database, warnings } = await loadPackages(request, sysroot, kept);
  const additions = await loadAdditions(request);
  const trees = survey === undefined ? undefined : additions?.trees?.(sysroot);
  if (trees !== undefined) sysroot.useSurvey(await survey?.(sysroot.prefix, trees));
  const readFacts = reading.readFacts?.(sysroot.prefix);
  const context = { sysroot, additions, packages: bring, kept, readFacts, goesOn };
  const begun = atOnce(Resolving.begin(request, context));
  const { syntax, warnings: unread } = await loadSyntax(begun);
  if (syntax !== undefined) begun.addCommands(syntax);
  const isWhole = begun.users.length === 0;
  const closure = begun.finish(isWhole ? undefined : (additions ?? (await expand(request))));
  const advice = isAdvised ? await findAdvice(begun, kept, database) : [];
  kept?.save();
  return { ...closure, advice, warnings: [...warnings, ...unread, ...closure.warnings] };
}

/**
 * Resolves a request and plans it.
 *
 * @param allowMissing plan even if libraries are missing; the manifest lists them
 * @throws JailbuildError LIBRARY_NOT_FOUND, and as `resolveRequest`
 */
export async function planRequest(
  request: ResolveRequest,
  allowMissing: boolean,
  reading: Reading = {},
): Promise<PlannedRequest> {
  const closure = await resolveRequest(request, reading);
  if (!allowMissing) refuseMissing(closure.missing);
  return { closure, manifest: plan(closure) };
}

/** @param database that packages have used, which need not be opened again */
async function findAdvice(
  { advisable }: Resolving,
  kept: KeptFiles | undefined,
  database: PackageDatabase | undefined,
) {
  const { adviceOn } = await import('../resolve/advice/advice-on.js');
  const openDatabase = async (probe: Sysroot) => {
    if (database !== undefined) return database;
    const { openPackages } = await import('../evidence/packages/open.js');
    return (await openPackages(probe)).database;
  };
  return adviceOn(advisable, { openDatabase, kept });
}

/** Opens package databases only for requests that need packages. */
async function loadPackages(
  request: ResolveRequest,
  sysroot: Sysroot,
  kept: KeptFiles | undefined,
) {
  if (!needsPackages(request)) return { bring: undefined, database: undefined, warnings: [] };
  const { openPackages } = await import('../evidence/packages/open.js');
  const { packagesOf } = await import('../resolve/packages/bring-packages.js');
  const { database, warnings } = await openPackages(sysroot);
  const { traces = [], traceScope, packages = [] } = request;
  if (traceScope !== 'packages' || database === undefined)
    return { bring: packagesOf(request, database, kept), database, warnings };
  const { packagesUsed } = await import('../evidence/trace/owners.js');
  const used = packagesUsed(traces, sysroot, database);
  const whole = { ...request, packages: [...new Set([...packages, ...used])] };
  return { bring: packagesOf(whole, database, kept), database, warnings };
}

/** Loads the parser only for scripts, since it takes 40 ms of CPU time. */
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
    return { warnings: [`the commands that shell scripts run are not added: ${why}`] };
  }
}

/** Loads profiles only if needed, since reading them takes several milliseconds. */
async function loadAdditions(request: ResolveRequest): Promise<Additions | undefined> {
  return needsAdditions(request) ? expand(request) : undefined;
}

async function expand(request: ResolveRequest): Promise<Additions> {
  const { additionsOf } = await import('../profile/expand.js');
  return additionsOf(request);
}
