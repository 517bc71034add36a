import { changedNotes, intentOf } from './build/intent.js';
import type { BuildJob, BuildOptions } from './build/job.js';
import { type BuildResult, planBuild, resultOf, runBuild } from './build/pipeline.js';
import type { UnchangedJail } from './build/verify-step.js';
import type { FileReport } from './report.js';
import { locateTarget } from './target.js';
import { isPrivileged } from './write/stage.js';
import { survey } from './write/survey.js';

/** One change that an update makes in a jail. */
export interface JailChange {
  readonly action: 'added' | 'replaced' | 'removed' | 'kept';
  readonly path: string;
}

/** The result of an update. */
export interface UpdateResult extends BuildResult {
  /** Sorted by path; `kept` marks a file of the user where the plan has another. */
  readonly changes: readonly JailChange[];
}

const ACTION = {
  created: 'added',
  replaced: 'replaced',
  kept: 'kept',
  create: 'added',
  replace: 'replaced',
  repair: 'replaced',
} as const;

/**
 * Updates a jail to what its request gives now. Removes entries of earlier builds that are no longer needed unless they
 * were changed in the jail; leaves correct entries alone. A failure leaves the jail as it was.
 *
 * @throws JailbuildError RECORD_MISSING, and with any code of the build's steps
 */
export async function updateJail(
  target: string,
  options: BuildOptions = {},
  onFile: (report: FileReport) => void = () => {},
): Promise<UpdateResult> {
  return (await runUpdate(target, options, onFile)).result;
}

/** An update that was made. */
export interface Updated {
  readonly result: UpdateResult;
  /** Set if nothing at all had to be done, and the files alone determine that. */
  readonly unchanged?: UnchangedJail;
}

/** As `updateJail`, and says by what it is known that nothing had to be done. */
export async function runUpdate(
  target: string,
  options: BuildOptions,
  onFile: (report: FileReport) => void = () => {},
): Promise<Updated> {
  const proven = await runBuild(updateJob(target, options), { onFile });
  const { unchanged, planned } = proven;
  const isByFiles = unchanged !== undefined && planned.request.sysrootImage === undefined;
  return { result: changesOf(resultOf(proven)), ...(isByFiles ? { unchanged } : {}) };
}

function changesOf(result: BuildResult): UpdateResult {
  const done = result.files.flatMap(({ action, path }) =>
    action === 'unchanged' || action === 'none' ? [] : [{ action: ACTION[action], path }],
  );
  return { ...result, changes: sorted(done, result.removed) };
}

/**
 * Returns the changes that an update would make; only reads.
 *
 * @throws as `updateJail`, except for errors of writing
 */
export async function planUpdate(
  target: string,
  options: BuildOptions = {},
): Promise<Omit<UpdateResult, 'files' | 'verifiedFiles'>> {
  const planned = await planBuild(updateJob(target, options));
  const { manifest } = planned;
  const intent = intentOf(planned);
  const findings = survey(manifest, locateTarget(target).path, {
    ...intent,
    noClobber: options.noClobber ?? false,
    owners: isPrivileged(),
  });
  const would = findings.flatMap(({ entry: { path }, need, as }): JailChange[] => {
    if (need !== 'nothing') return [{ action: ACTION[need], path }];
    return as === 'kept' ? [{ action: 'kept' as const, path }] : [];
  });
  const removed = intent.removals.map(({ path }) => path);
  return {
    manifest,
    removed,
    warnings: changedNotes(findings, intent, planned),
    changes: sorted(would, removed),
  };
}

function updateJob(target: string, options: BuildOptions): BuildJob {
  return { origin: { kind: 'record' }, target, options: { ...options, prune: true } };
}

function sorted(changes: readonly JailChange[], removed: readonly string[]): JailChange[] {
  const gone = removed.map((path) => ({ action: 'removed' as const, path }));
  return [...changes, ...gone].sort((a, b) => (a.path < b.path ? -1 : 1));
}
