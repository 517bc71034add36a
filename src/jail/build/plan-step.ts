import { JailbuildError } from '../../errors.js';
import { addDigests, knownDetails } from '../../manifest/digest.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { WorkProgress } from '../../manifest/work.js';
import { plan } from '../../resolve/to-manifest.js';
import { refuseInsecure } from '../parents.js';
import { checkTarget, locateTarget } from '../target.js';
import { type BuildJob, recordedOptions } from './job.js';
import type { Resolved } from './resolve-step.js';

type OnWork = (progress: WorkProgress) => void;

/** A job with its plan. */
export interface Planned extends Resolved {
  readonly manifest: Manifest;
}

/**
 * Turns the resolution into a plan, and refuses unsafe targets.
 *
 * @param onWork called while files are hashed
 * @throws JailbuildError TARGET_IS_ROOT, TARGET_NOT_A_DIRECTORY, TARGET_HOLDS_SOURCES, TARGET_NOT_WRITABLE,
 * TARGET_INSECURE, NOT_READABLE, LIMIT_EXCEEDED
 */
export async function planStep(resolved: Resolved, onWork?: OnWork): Promise<Planned> {
  const { job, sourceRoot } = resolved;
  const manifest = manifestOf(resolved);
  checkPlanTarget(manifest, job, sourceRoot);
  if (!job.options.dryRun && !job.options.insecureParents) {
    refuseInsecure(locateTarget(job.target), job.target);
  }
  await refuseBeyondLimits(manifest, resolved);
  const { kind } = resolved.resolution;
  const isDetailed = kind === 'recorded' || kind === 'given';
  return {
    ...resolved,
    manifest: isDetailed ? manifest : await withDetails(manifest, resolved, onWork),
  };
}

/** @throws JailbuildError LIMIT_EXCEEDED */
async function refuseBeyondLimits(
  manifest: Manifest,
  { job, sourceRoot }: Resolved,
): Promise<void> {
  const { limits } = job.options;
  if (limits === undefined) return;
  const { refuseExcess } = await import('../../plan/limits.js');
  refuseExcess(manifest.entries, limits);
  if (!limits.forbidSetId) return;
  // Capabilities are extended attributes of the sources.
  const { addXattrs } = await import('../engine/source-xattrs.js');
  refuseExcess((await addXattrs(manifest, sourceRoot)).entries, limits);
}

function manifestOf({ resolution }: Resolved): Manifest {
  switch (resolution.kind) {
    case 'closure':
      return plan(resolution.closure);
    case 'recorded':
      return resolution.manifest;
    case 'remembered':
      return resolution.remembered.manifest;
    case 'given':
      return resolution.given.manifest;
  }
}

/** Details to print are read anew; for the record alone, recorded details of unchanged files are reused. */
async function withDetails(
  manifest: Manifest,
  { job, sourceRoot }: Resolved,
  onWork: OnWork | undefined,
): Promise<Manifest> {
  if (job.options.digests) return addDetails(manifest, sourceRoot, onWork);
  const { record } = job.history;
  const known = record === undefined ? manifest : knownDetails(manifest, record.manifest);
  return recordedOptions(job).digests ? addDetails(known, sourceRoot, onWork) : known;
}

/** Adds details for readers of the manifest; the writer copies files and attributes without them. */
async function addDetails(
  manifest: Manifest,
  sourceRoot: string,
  onWork: OnWork | undefined,
): Promise<Manifest> {
  const { addXattrs } = await import('../engine/source-xattrs.js');
  const { findSparse } = await import('../engine/sparse-sources.js');
  const sparse = await findSparse(manifest.entries, sourceRoot);
  return addXattrs(await addDigests(manifest, sourceRoot, onWork, sparse), sourceRoot);
}

/** A dry run accepts a target that the user may not write to. */
function checkPlanTarget(
  manifest: Manifest,
  { target, options }: BuildJob,
  sourceRoot: string,
): void {
  try {
    checkTarget(manifest, target, sourceRoot);
  } catch (error) {
    const unwritable = error instanceof JailbuildError && error.code === 'TARGET_NOT_WRITABLE';
    if (!unwritable || !options.dryRun) throw error;
  }
}
