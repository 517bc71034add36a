import { releaseTrees } from '../../fs/held-tree.js';
import type { RegistryAccess } from '../../image/registry/access.js';
import { ContentComparer } from '../../manifest/compare-content.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { openSysroot, reopenSysroot } from '../../plan/open-sysroot.js';
import { readMountPoints } from '../record/mount-points.js';
import { requireRecord } from '../record/record.js';
import { locateTarget } from '../target.js';
import { compareImage, compareSources } from './compare-sources.js';
import { compareXattrs } from './compare-xattrs.js';
import {
  type CheckFinding,
  FINDING_KINDS,
  type FindingKind,
  type ReportFinding,
} from './finding.js';
import { JailWalk } from './jail-walk.js';
import { resolvePrograms } from './resolve-programs.js';

/** Options of a check. */
export interface CheckOptions {
  /** Compare by lstat(2) only; do not read files. */
  readonly quick?: boolean;
  /** Kinds of findings to skip. */
  readonly ignore?: readonly FindingKind[];
  /** How a sysroot is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
}

/** The result of a check. */
export interface CheckResult {
  /** Sorted by kind, then by path. */
  readonly findings: readonly CheckFinding[];
  /** Number of recorded entries that were compared. */
  readonly checked: number;
  /** Files whose content could not be compared: the source has changed and no digest is recorded. */
  readonly unknown: readonly string[];
}

/**
 * Compares a jail with its record, the loader's rules and its sources. Only reads; follows no symbolic link of the jail
 * and does not enter mounts in it. A sysroot from an image is compared with the image that its reference names now.
 *
 * @param root the jail's directory
 * @throws JailbuildError RECORD_MISSING, RECORD_REFUSED, NOT_READABLE, TARGET_NOT_A_DIRECTORY, and as
 *   `reopenSysroot`
 */
export async function checkJail(root: string, options: CheckOptions = {}): Promise<CheckResult> {
  const record = requireRecord(root);
  const { path } = locateTarget(root);
  const ignored = new Set(options.ignore);
  const now = await sysrootNow(record.request, ignored.has('stale'), options.registry);
  const sourceRoot = now.sysroot ?? '';
  const comparer = options.quick ? undefined : new ContentComparer(sourceRoot);
  const findings: CheckFinding[] = [];
  const report: ReportFinding = (kind, at, details) => {
    if (!ignored.has(kind)) findings.push({ kind, path: at, details });
  };
  const walk = new JailWalk(record, readMountPoints(root), comparer, report);
  try {
    walk.walk(path);
    await compareXattrs(record, walk, path, sourceRoot, report);
    resolvePrograms(record, walk.present, path, report);
    compareImage(record.request, now, report);
    compareSources(record, comparer, sourceRoot, report);
  } finally {
    releaseTrees();
  }
  const rank = ({ kind }: CheckFinding) => FINDING_KINDS.indexOf(kind);
  findings.sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
  return { findings, checked: record.manifest.entries.length, unknown: walk.unknown };
}

/** Opens the sysroot; reads its image anew only if changes since the build are to be reported. */
function sysrootNow(
  request: ResolveRequest,
  mayBeStale: boolean,
  registry: RegistryAccess | undefined,
): Promise<ResolveRequest> {
  return mayBeStale ? openSysroot(request, registry) : reopenSysroot(request, registry);
}
