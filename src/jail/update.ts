import {
  BUILD_STEPS,
  type BuildJob,
  type BuildOptions,
  type BuildResult,
  changedNotes,
  filled,
  intentOf,
  resultOf,
  tamperTest,
} from './build/pipeline.js';
import type { FileReport } from './report.js';
import { locateTarget } from './target.js';
import { isPrivileged } from './write/stage.js';
import { survey } from './write/survey.js';

/** What an update does to one path of a jail. */
export interface JailChange {
  readonly action: 'added' | 'replaced' | 'removed' | 'kept';
  readonly path: string;
}

export interface UpdateResult extends BuildResult {
  /** In the order of paths; `kept` are the user's, where the plan has something else. */
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
  const job = updateJob(target, options);
  for (const step of BUILD_STEPS) await step.run(job, onFile);
  const result = resultOf(job);
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
): Promise<Omit<UpdateResult, 'files'>> {
  const job = updateJob(target, { ...options, dryRun: true });
  for (const step of BUILD_STEPS) {
    if (step.name === 'resolve' || step.name === 'plan') await step.run(job);
  }
  const manifest = filled(job.manifest);
  const intent = intentOf(job);
  const findings = survey(manifest, locateTarget(target).path, {
    noClobber: options.noClobber ?? false,
    keep: intent.keep,
    isTampered: tamperTest(job, intent),
    managed: intent.managed,
    typeChanges: intent.typeChanges,
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
    warnings: changedNotes(findings, intent, job),
    changes: sorted(would, removed),
  };
}

function updateJob(target: string, options: BuildOptions): BuildJob {
  return { target, options: { ...options, prune: true } };
}

function sorted(changes: readonly JailChange[], removed: readonly string[]): JailChange[] {
  const gone = removed.map((path) => ({ action: 'removed' as const, path }));
  return [...changes, ...gone].sort((a, b) => (a.path < b.path ? -1 : 1));
}
