import { JailbuildError } from '../../errors.js';
import { recordedAttributes } from '../../fs/recorded-attributes.js';
import type { Observed } from '../../fs/sysroot.js';
import type { Manifest } from '../../manifest/manifest.js';
import {
  hostState,
  isJailUnchanged,
  jailState,
  keepFingerprint,
  wholeJail,
} from '../record/fingerprint.js';
import { type NewResolution, remember } from '../record/remembered-resolution.js';
import type { StateBlock } from '../record/state-blocks.js';
import { locateTarget } from '../target.js';
import { isPrivileged } from '../write/stage.js';
import { recordedOptions } from './job.js';
import { type RepeatableBuild, repeatableBuild } from './repeatable.js';
import { mayRemember, type Resolved } from './resolve-step.js';
import { type VerifiedDirectory, verifyDirectory } from './verify-planned.js';
import type { Written } from './write-step.js';

/** A jail verified to have everything its programs load. */
export interface Proven extends Written {
  /** Number of files that the programs load inside the jail. */
  readonly verifiedFiles: number;
  /** Set if nothing at all had to be done. */
  readonly unchanged?: UnchangedJail;
  /** Set if a new jail was built in a way that can be repeated. */
  readonly repeatable?: RepeatableBuild;
}

/** By what it is known that a jail is unchanged. */
export interface UnchangedJail {
  /** Real path of the jail. */
  readonly root: string;
  /** Real path of the directory that contains the sources; '' for `/`. */
  readonly sourceRoot: string;
  /** Stamps of the record and of the fingerprint. */
  readonly recordStamp: string;
  readonly stateStamp: string;
  /** File whose existence would mean that the record is not to be trusted. */
  readonly note: string;
  /** The blocks in the fingerprint, in their order there. */
  readonly blocks: readonly { readonly isOfJail: boolean; readonly length: number }[];
}

/**
 * Resolves the programs again with the jail as their root, and keeps a fingerprint by which the next build detects that
 * nothing has changed.
 *
 * @throws JailbuildError VERIFY_FAILED
 * @throws the reason of the job's signal, if nothing was changed
 */
export async function verifyStep(written: Written): Promise<Proven> {
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
  const verified = written.verified ?? (await verifyWritten(written, root, isUntouched));
  const remembered =
    resolution.kind !== 'given' && job.options.record !== false
      ? rememberState(written, root, verified)
      : undefined;
  const repeatable = remembered && repeatableBuild(written, root, remembered);
  return {
    ...written,
    verifiedFiles: verified.files,
    ...(repeatable === undefined ? {} : { repeatable }),
  };
}

/** Of a jail that was changed, nothing is taken back any more. */
async function verifyWritten(
  { planned, files, removed }: Written,
  root: string,
  isUntouched: boolean,
): Promise<VerifiedDirectory> {
  const { target, options } = planned.job;
  try {
    return await verifyDirectory(planned, root, files);
  } catch (error) {
    if (!options.signal?.aborted || error instanceof JailbuildError) throw error;
    if (isUntouched && removed.length === 0) throw error;
    const message = `${target}: is written, but a signal ended its verification: run jailbuild check`;
    throw new JailbuildError('VERIFY_FAILED', message, target, { cause: error });
  }
}

/** @returns what a new jail depends on, if others of the same request can be built from it */
function rememberState(
  { planned, record, verified: ofNew }: Written,
  root: string,
  { files, observed, known }: VerifiedDirectory,
): NewResolution | undefined {
  const { job, request, manifest, resolution, sourceRoot } = planned;
  const seen = resolution.kind === 'closure' ? resolution.closure.sysroot.observed() : undefined;
  const isPlanned = plannedAmong(seen, observed, manifest);
  const host = hostStateOf(planned, seen, isPlanned);
  const jail =
    known ?? (observed === undefined ? undefined : jailState(observed, files, isPlanned));
  if (host === undefined || jail === undefined) return undefined;
  const whole = record === undefined ? undefined : wholeJail(record, isPrivileged());
  keepFingerprint(root, { sourceRoot, host, jail, whole });
  // Existing content outside the plan is specific to this jail, so the result does not apply to others.
  if (ofNew === undefined) return undefined;
  if (resolution.kind === 'remembered') return { ...resolution.remembered, jail };
  if (resolution.kind !== 'closure' || !mayRemember(job, request)) return undefined;
  if (recordedOptions(job).digests || manifest.missing.length > 0) return undefined;
  const advised = resolution.closure.sysroot.probe.observed();
  if (advised === undefined) return undefined;
  const advice = isUnpacked(planned)
    ? UNPACKED_STATE
    : hostState(advised, sourceRoot, resolution.began, () => false);
  if (advice === undefined) return undefined;
  const remembered = { sourceRoot, host, advice, jail, manifest };
  remember(request, remembered);
  return remembered;
}

/**
 * Returns whether a path that was found is planned. A set of all planned paths of a large tree would take much memory.
 */
function plannedAmong(
  host: Observed | undefined,
  jail: Observed | undefined,
  { entries }: Manifest,
): (path: string) => boolean {
  const asked = new Set<string>();
  for (const [path, { type }] of host?.found ?? []) if (type === 'directory') asked.add(path);
  for (const path of jail?.found.keys() ?? []) asked.add(path);
  for (const path of jail?.surveyed ?? []) asked.add(path);
  const planned = new Set<string>();
  for (const { path } of entries) if (asked.has(path)) planned.add(path);
  return (path) => planned.has(path);
}

/** For an unpacked image or packages: the next build compares the digest in the request, which determines every file. */
const UNPACKED_STATE: readonly StateBlock[] = [];

function isUnpacked({ request, sourceRoot }: Resolved): boolean {
  return request.sysrootImage !== undefined && recordedAttributes(sourceRoot) !== undefined;
}

function hostStateOf(
  resolved: Resolved,
  seen: Observed | undefined,
  isPlanned: (path: string) => boolean,
): Iterable<StateBlock> | undefined {
  const { resolution, sourceRoot } = resolved;
  switch (resolution.kind) {
    case 'closure': {
      if (isUnpacked(resolved)) return UNPACKED_STATE;
      return seen === undefined
        ? undefined
        : hostState(seen, sourceRoot, resolution.began, isPlanned);
    }
    case 'recorded':
      return resolution.fingerprint.host;
    case 'remembered':
      return resolution.remembered.host;
    case 'given':
      return undefined;
  }
}
