import { JailbuildError } from '../errors.js';
import { isTrace, type Observed } from '../fs/sysroot.js';
import type { Manifest, MissingLibrary, Reason } from '../manifest/manifest.js';
import { describeMissing, missingId } from '../manifest/missing.js';
import type { ResolveRequest } from '../manifest/request.js';
import type { Additions } from '../resolve/additions.js';
import type { Originals } from '../resolve/program-resolver.js';
import { type Closure, resolve } from '../resolve/resolve.js';

export interface Verified {
  /** The number of files that the programs need, all found. */
  readonly files: number;
  /** What was looked at in the jail, as `Sysroot` tells it. */
  readonly observed: Observed | undefined;
}

/**
 * Proves a written jail: each requested program is resolved again with the jail as its root, by the
 * same rules as on the host. What the loader would miss in there is an error here.
 *
 * @param root the jail's directory
 * @param originals gives what was read of the sources of files that are known to be copies of them
 * @param searchPath where a script's env(1) looks for programs; the default is what login(1) sets
 * @throws JailbuildError VERIFY_FAILED naming the program and what it misses
 */
export function verifyJail(
  manifest: Manifest,
  root: string,
  searchPath?: readonly string[],
  originals?: Originals,
): Verified {
  let closure: Closure;
  try {
    closure = resolveInJail(manifest, root, programsOf(manifest), searchPath, originals);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw new JailbuildError('VERIFY_FAILED', `in the jail: ${error.message}`, error.path, {
      cause: error,
    });
  }
  const [missing] = newlyMissing(closure, manifest);
  if (missing !== undefined) {
    throw new JailbuildError(
      'VERIFY_FAILED',
      missing.version === undefined
        ? `in the jail: ${missing.name}, needed by ${missing.neededBy}, is not found`
        : `in the jail: ${describeMissing(missing)}`,
      missing.neededBy,
    );
  }
  return {
    files: closure.files.filter(({ stat }) => stat.type === 'file').length,
    observed: closure.sysroot.observed(),
  };
}

/** The paths of the programs that were asked for. */
export function programsOf({ entries }: Manifest): string[] {
  return entries.filter(({ reasons }) => reasons.some(isProgram)).map(({ path }) => path);
}

/**
 * What programs find with the jail as their root.
 *
 * @throws JailbuildError with any code of `resolve`
 */
export function resolveInJail(
  manifest: Manifest,
  root: string,
  programs: readonly string[],
  searchPath?: readonly string[],
  originals?: Originals,
): Closure {
  const others = manifest.entries
    .filter(({ type, reasons }) => type === 'file' && reasons.some(isData))
    .map(({ path }) => path);
  const { libraryPath, dlopen, nss } = manifest.request;
  const request: ResolveRequest = {
    programs,
    sysroot: root,
    terminfo: 'none',
    ...(dlopen === undefined ? {} : { dlopen }),
    ...(nss === undefined ? {} : { nss }),
    // The jail's own cache, if it has one.
    ldCache: 'copy',
    ...(libraryPath === undefined ? {} : { libraryPath }),
    ...(searchPath === undefined ? {} : { path: searchPath }),
  };
  return resolve(request, withObjects(request, others), originals);
}

/** Libraries that are not found, short of those that were missing when the jail was planned. */
export function newlyMissing(closure: Closure, manifest: Manifest): MissingLibrary[] {
  const known = new Set(manifest.missing.map(missingId));
  return closure.missing.filter((library) => !known.has(missingId(library)));
}

function isProgram(reason: Reason): boolean {
  return reason.kind === 'requested' || ('as' in reason && reason.kind !== 'included');
}

/** What came along as data may be a module that some program opens. */
function isData({ kind }: Reason): boolean {
  return kind === 'profile' || kind === 'included';
}

function withObjects(request: ResolveRequest, paths: readonly string[]): Additions {
  return {
    request,
    addTo({ sysroot, programs }) {
      for (const path of paths) {
        const trace = sysroot.trace(path);
        if (isTrace(trace)) programs.addObject(trace);
      }
      return [];
    },
    takeOut() {},
  };
}
