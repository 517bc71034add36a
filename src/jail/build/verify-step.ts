import { DirectoryView } from '../../fs/file-view.js';
import { Sysroot } from '../../fs/sysroot.js';
import { PlanView } from '../../plan/plan-view.js';
import { originalsOf, type Verified, verifyPlan } from '../../plan/verify.js';
import { resolveEnvironment } from '../../resolve/environment.js';
import type { Originals } from '../../resolve/program-resolver.js';
import { hostState, isJailUnchanged, jailState, keepFingerprint } from '../record/fingerprint.js';
import type { FileReport } from '../report.js';
import { locateTarget } from '../target.js';
import type { Planned } from './plan-step.js';
import type { Resolved } from './resolve-step.js';
import type { Written } from './write-step.js';

/** A jail that was found to have all that its programs load. */
export interface Proven extends Written {
  /** The number of files that the programs load inside the jail. */
  readonly verifiedFiles: number;
}

/**
 * Resolves the programs again with the jail as their root, and keeps a fingerprint by which the next
 * build finds that nothing has changed.
 *
 * @throws JailbuildError VERIFY_FAILED
 */
export function verifyStep(written: Written): Proven {
  const { planned, files } = written;
  const { job, resolution } = planned;
  const root = locateTarget(job.target).path;
  const isUntouched = files.every(({ action }) => action === 'unchanged');
  if (
    resolution.kind === 'recorded' &&
    isUntouched &&
    isJailUnchanged(resolution.fingerprint, root)
  ) {
    return { ...written, verifiedFiles: resolution.fingerprint.jail.files };
  }
  const verified = written.verified ?? verifyDirectory(planned, root, files);
  if (resolution.kind !== 'given' && job.options.record !== false) {
    rememberState(planned, root, verified);
  }
  return { ...written, verifiedFiles: verified.files };
}

/**
 * Verifies the plan in a directory.
 *
 * @param root where the jail is, for now or for good
 * @param files what was done about each of its entries
 */
export function verifyDirectory(
  { manifest, request, resolution }: Planned,
  root: string,
  files: readonly FileReport[],
): Verified {
  const searchPath = searchPathOf(request, resolution);
  return verifyPlan(manifest, new Sysroot(root), {
    where: 'in the jail',
    originals: copiesOf(resolution, files),
    ...(searchPath === undefined ? {} : { searchPath }),
  });
}

/** Verifies the plan as the jail that would come of it, with what the target already has. */
export function verifyPlanned({ job, manifest, request, resolution, sourceRoot }: Planned): void {
  // What the fingerprint of a jail vouches for was verified there.
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
      return resolveEnvironment(request).searchPath;
    case 'given':
      return undefined;
  }
}

/** What was done about files that are as planned then: copied by this build or by an earlier one. */
const AS_PLANNED: ReadonlySet<FileReport['action']> = new Set(['created', 'replaced', 'unchanged']);

function copiesOf(
  resolution: Resolved['resolution'],
  files: readonly FileReport[],
): Originals | undefined {
  if (resolution.kind !== 'closure') return undefined;
  const planned = new Set(
    files.filter(({ action }) => AS_PLANNED.has(action)).map(({ path }) => path),
  );
  return originalsOf(resolution.closure, (path) => planned.has(path));
}

function rememberState(
  { manifest, resolution, sourceRoot }: Planned,
  root: string,
  { files, observed }: Verified,
): void {
  const paths = new Set(manifest.entries.map(({ path }) => path));
  const isPlanned = (path: string) => paths.has(path);
  const host = hostStateOf(resolution, sourceRoot, isPlanned);
  const jail = observed === undefined ? undefined : jailState(observed, files, isPlanned);
  if (host !== undefined && jail !== undefined) keepFingerprint(root, { sourceRoot, host, jail });
}

function hostStateOf(
  resolution: Resolved['resolution'],
  sourceRoot: string,
  isPlanned: (path: string) => boolean,
) {
  switch (resolution.kind) {
    case 'closure': {
      const seen = resolution.closure.sysroot.observed();
      return seen === undefined
        ? undefined
        : hostState(seen, sourceRoot, resolution.began, isPlanned);
    }
    case 'recorded':
      return resolution.fingerprint.host;
    case 'given':
      return undefined;
  }
}
