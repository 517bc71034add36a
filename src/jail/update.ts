import { changedNotes, intentOf } from './build/intent.js';
import type { BuildJob, BuildOptions } from './build/job.js';
import { type BuildResult, planBuild, resultOf, runBuild } from './build/pipeline.js';
import type { FileReport } from './report.js';
import { locateTarget } from './target.js';
import { isPrivileged } from './write/stage.js';
import { survey } from './write/survey.js';

/** What an update does to one path of a jail. */
export interface JailChange {
  readonly action: 'added' | 'replaced' | 'removed' | 'kept';
  readonly path: string;
}

/** What an update has done. */
export interface UpdateResult extends BuildResult {
  /** Sorted by path; `kept` are files of the user where the plan has another. */
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
 * Brings a jail to what the same request gives now. What it had from earlier builds and no longer
 * needs is taken out, unless it was changed in the jail. What is as it should be is not touched. On
 * failure the jail is as it was.
 *
 * @throws JailbuildError RECORD_MISSING, and with any code of the stages
 */
export async function updateJail(
  target: string,
  options: BuildOptions = {},
  onFile: (report: FileReport) => void = () => {},
): Promise<UpdateResult> {
  const result = resultOf(await runBuild(updateJob(target, options), { onFile }));
  const done = result.files.flatMap(({ action, path }) =>
    action === 'unchanged' || action === 'none' ? [] : [{ action: ACTION[action], path }],
  );
  return { ...result, changes: sorted(done, result.removed) };
}

/**
 * What an update would do, found by reading alone.
 *
 * @throws as `updateJail`, short of what only writing brings up
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
