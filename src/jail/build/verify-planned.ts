import { DirectoryView } from '../../fs/file-view.js';
import { Sysroot } from '../../fs/sysroot.js';
import type { Manifest } from '../../manifest/manifest.js';
import { inTurns } from '../../manifest/steps.js';
import { PlanView } from '../../plan/plan-view.js';
import { originalsOf, type Verified, verifyInSteps, verifyPlan } from '../../plan/verify.js';
import { resolveEnvironment } from '../../resolve/environment.js';
import type { Originals } from '../../resolve/originals.js';
import { isJailUnchanged, type JailState } from '../record/fingerprint.js';
import type { FileReport } from '../report.js';
import { locateTarget } from '../target.js';
import { isPrivileged } from '../write/stage.js';
import { survey } from '../write/survey.js';
import type { Planned } from './plan-step.js';
import type { Resolution, Resolved } from './resolve-step.js';

/** The result of verifying a directory. */
export interface VerifiedDirectory extends Verified {
  /** What the result depends on, if an earlier verification of the same plan still holds. */
  readonly known?: JailState;
}

/**
 * Verifies the plan in a directory.
 *
 * @param root where the jail is, staged or final
 * @param files reports on each of its entries
 * @throws JailbuildError VERIFY_FAILED
 * @throws the reason of the job's signal
 */
export async function verifyDirectory(
  { job, manifest, request, resolution }: Planned,
  root: string,
  files: readonly FileReport[],
): Promise<VerifiedDirectory> {
  const known =
    resolution.kind === 'remembered' ? verifiedBefore(manifest, resolution, root) : undefined;
  if (known !== undefined) return known;
  const searchPath = searchPathOf(request, resolution);
  const steps = verifyInSteps(manifest, new Sysroot(root), {
    where: 'in the jail',
    originals: copiesOf(resolution, files),
    ...(searchPath === undefined ? {} : { searchPath }),
  });
  return inTurns(steps, job.options.signal);
}

/**
 * Returns the verification of the same plan in another jail, if all entries here are as planned and the paths that
 * programs looked for in vain are absent here too: the result would be the same.
 */
function verifiedBefore(
  manifest: Manifest,
  { remembered: { jail } }: Extract<Resolution, { kind: 'remembered' }>,
  root: string,
): VerifiedDirectory | undefined {
  const findings = survey(manifest, root, { noClobber: false, owners: isPrivileged() });
  if (findings.some(({ as }) => as !== 'planned') || !isJailUnchanged({ jail }, root))
    return undefined;
  return { files: jail.files, observed: undefined, known: jail };
}

/** Verifies the jail that would result from the plan and from what already exists in the target. */
export function verifyPlanned({ job, manifest, request, resolution, sourceRoot }: Planned): void {
  // A jail confirmed by its fingerprint was verified when that was written.
  if (resolution.kind === 'recorded') return;
  const { path, existing } = locateTarget(job.target);
  const below = existing === path ? new DirectoryView(path) : undefined;
  const searchPath = searchPathOf(request, resolution);
  verifyPlan(manifest, new Sysroot(new PlanView(manifest.entries, sourceRoot, below)), {
    where: 'in the jail',
    originals:
      resolution.kind === 'closure' ? originalsOf(resolution.closure, () => true) : undefined,
    ...(searchPath === undefined ? {} : { searchPath }),
  });
}

function searchPathOf(
  request: Resolved['request'],
  resolution: Resolved['resolution'],
): readonly string[] | undefined {
  switch (resolution.kind) {
    case 'closure':
      return resolution.closure.searchPath;
    case 'recorded':
    case 'remembered':
      return resolveEnvironment(request).searchPath;
    case 'given':
      return undefined;
  }
}

/** Actions after which files are as planned: copied by this build or by an earlier one. */
const AS_PLANNED: ReadonlySet<FileReport['action']> = new Set(['created', 'replaced', 'unchanged']);

function isAsPlanned({ action }: FileReport): boolean {
  return AS_PLANNED.has(action);
}

function copiesOf(
  resolution: Resolved['resolution'],
  files: readonly FileReport[],
): Originals | undefined {
  if (resolution.kind !== 'closure') return undefined;
  if (files.every(isAsPlanned)) return originalsOf(resolution.closure, () => true);
  const planned = new Set(files.filter(isAsPlanned).map(({ path }) => path));
  return originalsOf(resolution.closure, (path) => planned.has(path));
}
