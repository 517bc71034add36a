import { errnoOf, JailbuildError, strerror } from '../errors.js';
import type { Observed, Sysroot } from '../fs/sysroot.js';
import type { Entry, Manifest, MissingLibrary, Reason } from '../manifest/manifest.js';
import { describeMissing, missingId } from '../manifest/missing.js';
import type { ResolveRequest } from '../manifest/request.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import { atOnce, type Steps } from '../manifest/steps.js';
import type { Originals } from '../resolve/originals.js';
import { type Closure, resolveInSteps } from '../resolve/resolve.js';

export interface Verified {
  /** The number of files that the programs need, all found. */
  readonly files: number;
  /** The paths read in the root, as `Sysroot` lists them. */
  readonly observed: Observed | undefined;
}

export interface VerifyOptions {
  /** Names the root in messages, such as `in the jail`. */
  readonly where: string;
  /** Returns what was read of the sources of files that are known to be copies of them. */
  readonly originals?: Originals | undefined;
  /** Where a script's env(1) looks for programs; the default is that of login(1). */
  readonly searchPath?: readonly string[];
}

/**
 * Verifies a plan: resolves each requested program again in the root that the plan makes, by the
 * same rules as on the host. Anything that the loader would not find there is an error.
 *
 * @param root a jail's directory, or the plan itself as a root: see `PlanView`
 * @throws JailbuildError VERIFY_FAILED naming the program and what it lacks; SOURCE_CHANGED if a
 *   file is no longer as planned
 */
export function verifyPlan(manifest: Manifest, root: Sysroot, options: VerifyOptions): Verified {
  return atOnce(verifyInSteps(manifest, root, options));
}

/** As {@link verifyPlan}, with steps for each program and library. */
export function* verifyInSteps(
  manifest: Manifest,
  root: Sysroot,
  options: VerifyOptions,
): Steps<Verified> {
  const { where } = options;
  let closure: Closure;
  try {
    closure = yield* stepsInRoot(manifest, root, programsOf(manifest), options);
  } catch (error) {
    if (!(error instanceof JailbuildError) && errnoOf(error) === undefined) throw error;
    // A system error for a file that was just resolved: it was removed or changed meanwhile.
    const message =
      error instanceof JailbuildError ? error.message : `changed meanwhile: ${strerror(error)}`;
    const path = error instanceof JailbuildError ? error.path : undefined;
    const isChanged = error instanceof JailbuildError && error.code === 'SOURCE_CHANGED';
    const code = isChanged ? error.code : 'VERIFY_FAILED';
    throw new JailbuildError(code, `${where}: ${message}`, path, { cause: error });
  }
  const [missing] = newlyMissing(closure, manifest);
  if (missing !== undefined) {
    throw new JailbuildError(
      'VERIFY_FAILED',
      missing.version === undefined
        ? `${where}: ${missing.name}, needed by ${missing.neededBy}, is not found`
        : `${where}: ${describeMissing(missing)}`,
      missing.neededBy,
    );
  }
  const other = otherPick(closure, manifest);
  if (other !== undefined) {
    throw new JailbuildError('VERIFY_FAILED', `${where}: ${other.problem}`, other.path);
  }
  return {
    files: closure.files.filter(({ stat }) => stat.type === 'file').length,
    observed: closure.sysroot.observed(),
  };
}

/**
 * Returns what the resolver has read of the sources of files, for a root that contains copies of
 * them, so that verification need not read them again.
 *
 * @param isCopy returns whether the root has an unchanged copy of the file at a path of the plan
 */
export function originalsOf(closure: Closure, isCopy: (path: string) => boolean): Originals {
  return (path) => (isCopy(path) ? closure.readSource(path) : undefined);
}

/** Returns the paths of the requested programs. */
export function programsOf({ entries }: Manifest): string[] {
  return entries.filter(({ reasons }) => reasons.some(isProgram)).map(({ path }) => path);
}

/**
 * Resolves programs in a root.
 *
 * @throws JailbuildError with any code of `resolve`
 */
export function resolveInRoot(
  manifest: Manifest,
  root: Sysroot,
  programs: readonly string[],
  options: Omit<VerifyOptions, 'where'> = {},
): Closure {
  return atOnce(stepsInRoot(manifest, root, programs, options));
}

function stepsInRoot(
  manifest: Manifest,
  root: Sysroot,
  programs: readonly string[],
  { searchPath, originals }: Omit<VerifyOptions, 'where'>,
): Steps<Closure> {
  const runnable = manifest.entries.filter((entry) => mayRun(entry, originals)).map(pathOf);
  const { libraryPath, dlopen, nss } = manifest.request;
  const request: ResolveRequest = {
    programs,
    // Resolution in a root must not depend on the caller's directory or terminal.
    cwd: '/',
    terminals: [],
    path: searchPath ?? STANDARD_PATH,
    terminfo: 'none',
    ...(dlopen === undefined ? {} : { dlopen }),
    ...(nss === undefined ? {} : { nss }),
    // The jail's own cache, if it has one.
    ldCache: 'copy',
    ...(libraryPath === undefined ? {} : { libraryPath }),
  };
  return resolveInSteps(request, { runnable, originals, sysroot: root });
}

interface OtherPick {
  readonly path: string;
  readonly problem: string;
}

/**
 * Returns the first library for which the loader in the root takes another file of the plan than on
 * the host, on some processor. Files outside the plan are the choice of the jail's owner.
 */
function otherPick(closure: Closure, manifest: Manifest): OtherPick | undefined {
  const found = new Map(closure.files.map(({ path, reasons }) => [path, reasons]));
  const planned = new Set<string>();
  for (const { path } of manifest.entries) if (found.has(path)) planned.add(path);
  const picks = new Map<string, Set<string>>();
  const needKey = ({ by, name }: { by: string; name: string }) => `${by}\0${name}`;
  for (const { path, reasons } of manifest.entries) {
    for (const reason of reasons) {
      if (reason.kind !== 'needed') continue;
      const known = picks.get(needKey(reason));
      if (known === undefined) picks.set(needKey(reason), new Set([path]));
      else known.add(path);
    }
  }
  for (const { path, reasons } of closure.files) {
    for (const reason of reasons) {
      if (reason.kind !== 'needed' || !planned.has(path)) continue;
      const expected = picks.get(needKey(reason));
      if (expected === undefined || expected.has(path)) continue;
      const there = [...expected].join(' or ');
      const problem = `${reason.name}, needed by ${reason.by}, is ${path} and not ${there}`;
      return { path, problem };
    }
  }
  for (const { path, reasons } of manifest.entries) {
    const variant = reasons.find((reason) => reason.kind === 'hwcaps');
    if (variant === undefined || found.get(path)?.some(({ kind }) => kind === 'hwcaps')) continue;
    if (!found.has(variant.of)) continue;
    const problem = `${path}, for processors of ${variant.level}, is not found by the loader`;
    return { path, problem };
  }
  return undefined;
}

/** Returns libraries that are not found, except those already missing when the jail was planned. */
export function newlyMissing(closure: Closure, manifest: Manifest): MissingLibrary[] {
  const known = new Set(manifest.missing.map(missingId));
  return closure.missing.filter((library) => !known.has(missingId(library)));
}

function isProgram(reason: Reason): boolean {
  return reason.kind === 'requested' || ('as' in reason && reason.kind !== 'included');
}

const DATA: ReadonlySet<Reason['kind']> = new Set([
  'profile',
  'included',
  'package',
  'named',
  'observed',
  'command',
  'sourced',
]);

/**
 * Returns whether a file that came along as data may be a module that some program opens, or a script. A copy
 * of a file that is known to be neither needs no look: its mode is as planned.
 */
function mayRun({ type, path, mode, reasons }: Entry, originals: Originals | undefined): boolean {
  if (type !== 'file' || !reasons.some(isData)) return false;
  return originals?.(path)?.isElf !== false || (Number.parseInt(mode, 8) & 0o111) !== 0;
}

function pathOf({ path }: Entry): string {
  return path;
}

/** Data files may be modules that some program opens. */
function isData({ kind }: Reason): boolean {
  return DATA.has(kind);
}
