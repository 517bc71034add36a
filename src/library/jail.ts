import { type CheckOptions, type CheckResult, checkJail as checkIt } from '../jail/check/check.js';
import { FINDING_KINDS } from '../jail/check/finding.js';
import { type RemoveResult, removeJail as removeIt } from '../jail/remove.js';
import { planUpdate as planIt, type UpdateResult, updateJail as updateIt } from '../jail/update.js';
import { oneOf } from '../manifest/check-request.js';
import { type BuildOptions, buildOptions } from './build.js';
import { abortSignal, callback, checkOptions, checkPath, flag, registryAccess } from './options.js';

/** Options of `removeJail`. */
export interface RemoveOptions {
  /** Also remove files that were changed in the jail. */
  readonly changed?: boolean;
  /** Only find what would be removed. */
  readonly dryRun?: boolean;
  /** Wait for a running build of the jail, instead of failing. */
  readonly wait?: boolean;
  /** Called once before waiting. */
  readonly onWait?: () => void;
  /** Called with each removed path of the jail. */
  readonly onRemoved?: (path: string) => void;
  /** Ends the removal. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Updates a jail to match its sources: adds what `build` would add, and removes what earlier builds
 * added and it no longer needs, unless it was changed in the jail. On failure the jail is
 * unchanged.
 *
 * @param root the jail's directory
 * @throws JailbuildError RECORD_MISSING, and as `build`
 * @throws the reason of `signal`
 */
export async function updateJail(root: string, options: BuildOptions = {}): Promise<UpdateResult> {
  const made = buildOptions(options);
  return updateIt(checkPath(root, 'root'), made.options, made.progress.onFile);
}

/**
 * Returns what an update would do. Writes nothing.
 *
 * @throws JailbuildError as `updateJail`, except errors of writing
 */
export async function planUpdate(
  root: string,
  options: BuildOptions = {},
): Promise<Omit<UpdateResult, 'files' | 'verifiedFiles'>> {
  return planIt(checkPath(root, 'root'), buildOptions(options).options);
}

/**
 * Compares a jail with its record and with its present sources. Changes nothing.
 *
 * @throws JailbuildError RECORD_MISSING, RECORD_REFUSED, NOT_READABLE
 */
export async function checkJail(root: string, options: CheckOptions = {}): Promise<CheckResult> {
  const kind = oneOf(...FINDING_KINDS);
  const checked = checkOptions<CheckOptions>(options, {
    quick: flag,
    ignore: (field) => field.items().map(kind),
    registry: registryAccess,
  });
  return checkIt(checkPath(root, 'root'), checked);
}

/**
 * Removes what builds added to a jail, and the jail's directory if it is then empty. Keeps other
 * files in the jail and files that were changed there. An interrupted removal can be repeated.
 *
 * @throws JailbuildError RECORD_MISSING, RECORD_REFUSED, MOUNTED, TARGET_BUSY, WRITE_FAILED
 * @throws the reason of `signal`
 */
export async function removeJail(root: string, options: RemoveOptions = {}): Promise<RemoveResult> {
  const checked = checkOptions<RemoveOptions>(options, {
    changed: flag,
    dryRun: flag,
    wait: flag,
    onWait: callback<() => void>,
    onRemoved: callback<(path: string) => void>,
    signal: abortSignal,
  });
  return removeIt(checkPath(root, 'root'), checked);
}
