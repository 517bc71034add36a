import { releaseTrees } from '../../fs/held-tree.js';
import type { Manifest } from '../../manifest/manifest.js';
import { fileTotals, WorkMeter, type WorkProgress } from '../../manifest/work.js';
import type { FileReport } from '../report.js';
import type { WriteOptions } from '../write/options.js';
import type { BuildJob } from './job.js';
import { type Planned, planStep } from './plan-step.js';
import { type Resolved, resolveStep } from './resolve-step.js';
import { unchangedBuild } from './unchanged.js';
import { verifyPlanned } from './verify-planned.js';
import { type Proven, verifyStep } from './verify-step.js';
import { type Written, writeStep } from './write-step.js';

/** The steps of a build in order, each with its result type. */
export interface BuildSteps {
  readonly resolve: Resolved;
  readonly plan: Planned;
  readonly write: Written;
  readonly verify: Proven;
}

export type StepName = keyof BuildSteps;

export const STEP_NAMES: readonly StepName[] = ['resolve', 'plan', 'write', 'verify'];

/** Progress callbacks for a user interface. */
export interface BuildProgress {
  /** A step begins. If another build changed the jail meanwhile, `resolve` begins again. */
  onStep?(name: StepName): void;
  /** A step has ended. */
  onStepDone?<N extends StepName>(name: N, result: BuildSteps[N]): void;
  /** An entry is done. */
  onFile?(report: FileReport): void;
  /** Some bytes of a long step are done: hashed in `plan`, written in `write`. */
  onWork?(progress: WorkProgress): void;
}

/**
 * Runs a job through all steps: resolve, plan, write, verify. A failure leaves the target as it was.
 *
 * @throws JailbuildError with any code of the steps
 * @throws the signal's reason
 */
export async function runBuild(job: BuildJob, progress: BuildProgress = {}): Promise<Proven> {
  const step = async <N extends StepName, T extends BuildSteps[N] | 'outdated'>(
    name: N,
    run: () => T | Promise<T>,
  ): Promise<T> => {
    progress.onStep?.(name);
    const result = await run();
    if (result !== 'outdated') progress.onStepDone?.(name, result as BuildSteps[N]);
    return result;
  };
  const onWork = progress.onWork?.bind(progress);
  try {
    const unchanged = await unchangedBuild(job);
    if (unchanged !== undefined) {
      reportUnchanged(unchanged, progress);
      return unchanged;
    }
    for (;;) {
      const resolved = await step('resolve', () => resolveStep(job));
      const planned = await step('plan', () => planStep(resolved, onWork));
      await job.options.onWrite?.(planned.manifest, planned.sourceRoot);
      const written = await step('write', () =>
        writeStep(planned, followed(planned.manifest, progress)),
      );
      if (written === 'outdated') continue;
      return await step('verify', () => verifyStep(written));
    }
  } finally {
    releaseTrees();
  }
}

type Reporting = Pick<WriteOptions, 'onFile' | 'onMade'>;

/** Forwards reports of files, and counts what is made. */
function followed({ entries }: Manifest, progress: BuildProgress): Reporting {
  const onFile = (report: FileReport): void => progress.onFile?.(report);
  if (progress.onWork === undefined) return { onFile };
  const meter = new WorkMeter('write', fileTotals(entries), (work) => progress.onWork?.(work));
  return {
    onFile,
    onMade: (entry) => {
      if (entry.type === 'file' && entry.hardlink === undefined) meter.add(entry.size, 1);
    },
  };
}

/** Reports every step as begun and done, for an unchanged jail. */
function reportUnchanged(proven: Proven, progress: BuildProgress): void {
  const results: BuildSteps = {
    resolve: proven.planned,
    plan: proven.planned,
    write: proven,
    verify: proven,
  };
  for (const name of STEP_NAMES) {
    progress.onStep?.(name);
    if (name === 'write' && progress.onFile !== undefined) {
      for (const report of proven.files) progress.onFile(report);
    }
    progress.onStepDone?.(name, results[name]);
  }
}

/**
 * Runs a job up to its plan and verifies that; writes nothing.
 *
 * @throws JailbuildError VERIFY_FAILED, and with any code of these steps
 */
export async function planBuild(job: BuildJob, onWork?: BuildProgress['onWork']): Promise<Planned> {
  const asked = { ...job, options: { ...job.options, dryRun: true } };
  try {
    const planned = await planStep(await resolveStep(asked), onWork);
    verifyPlanned(planned);
    return planned;
  } finally {
    releaseTrees();
  }
}

/** The result of a build. */
export interface BuildResult {
  readonly manifest: Manifest;
  readonly files: readonly FileReport[];
  /** Paths of removed entries of earlier builds. */
  readonly removed: readonly string[];
  /** Number of files that the programs load inside the jail, all of them present. */
  readonly verifiedFiles: number;
  /** Warnings for the user in addition to those in the manifest. */
  readonly warnings: readonly string[];
}

/** Returns the result of a build for its caller. */
export function resultOf(proven: Proven): BuildResult {
  const { planned, removed, verifiedFiles, warnings } = proven;
  return {
    manifest: planned.manifest,
    // Reports for an unchanged jail are made on demand.
    get files() {
      return proven.files;
    },
    removed,
    verifiedFiles,
    warnings,
  };
}
