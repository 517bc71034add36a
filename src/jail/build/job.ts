import type { RegistryAccess } from '../../image/registry/access.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { Limits } from '../../plan/limits.js';
import type { ChangedPolicy } from '../record/owned-entries.js';
import type { JailHistory, JailRecord, RecordedOptions } from '../record/record.js';

/** Build options chosen by the caller. */
export interface BuildChoices {
  /** Keep files that already exist in the target. */
  readonly noClobber?: boolean;
  /** Build even if libraries are missing. */
  readonly allowMissing?: boolean;
  /** Policy for files that were changed in the jail after they were made. */
  readonly changed?: ChangedPolicy;
  /** Remove entries of earlier builds that are no longer in the plan. */
  readonly prune?: boolean;
  /** False to leave no record in the jail. */
  readonly record?: boolean;
  /** Limits on the plan. */
  readonly limits?: Limits | undefined;
  /** Fail instead of warning where the jail cannot match the plan exactly. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where possible. */
  readonly link?: boolean;
  /** Do not wait for writes to reach the disk. */
  readonly noSync?: boolean;
  /** Resolve again instead of using a remembered resolution, and remember no result. */
  readonly noCache?: boolean;
  /** Accept a target below directories that others may write to. */
  readonly insecureParents?: boolean;
  /** Wait for another build of the same target. */
  readonly wait?: boolean;
  /** Called once before waiting. */
  readonly onWait?: () => void;
  /** Called before anything is written. An exception ends the build. */
  readonly onWrite?: (manifest: Manifest, sourceRoot: string) => void | Promise<void>;
  /** How a sysroot is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
  /** Ends the build, leaving the target as it was. */
  readonly signal?: AbortSignal;
}

/** Options of a build. */
export interface BuildOptions extends BuildChoices {
  /** Also return what the front needs to repeat the build for another new jail. */
  readonly isRepeatable?: boolean;
  /** Only plan: the target need not be writable. */
  readonly dryRun?: boolean;
  /** Record the SHA-256 of every file, and extended attributes, in the manifest. */
  readonly digests?: boolean;
  /** Record them in this jail's record, now and at each update. */
  readonly recordDigests?: boolean;
  /**
   * Absolute path of the jail file that the request comes from. The jail is to contain exactly what the file declares.
   */
  readonly file?: string;
  /** The request is the jail's whole content, instead of an addition to earlier builds. */
  readonly replaces?: boolean;
  /** Defaults for `run`, stored in the record. */
  readonly run?: JailRecord['run'] | undefined;
}

/** A manifest given by the user. */
export interface GivenManifest {
  readonly manifest: Manifest;
  /** The file's absolute path. */
  readonly file: string;
  /** The directory that contains its sources; default: `/`. */
  readonly sysroot?: string | undefined;
}

/** What determines the content of the jail. */
export type BuildOrigin =
  /** A request, added to those of earlier builds. */
  | { readonly kind: 'request'; readonly request: ResolveRequest }
  /** A manifest, built as it is. */
  | { readonly kind: 'manifest'; readonly given: GivenManifest }
  /** The record of the jail: an update. */
  | { readonly kind: 'record' };

/** A build as requested by the caller. */
export interface BuildJob {
  readonly origin: BuildOrigin;
  /** The jail's directory as given by the user. */
  readonly target: string;
  readonly options: BuildOptions;
}

/** A job together with the history of its target. */
export interface KnownJob extends BuildJob {
  readonly history: JailHistory;
}

/** Returns whether the job's request alone, such as a jail file, determines the content of the jail. */
export function isOfFile({ options: { file, replaces }, origin, history }: KnownJob): boolean {
  if (origin.kind === 'request' && replaces) return true;
  if (file === undefined || origin.kind !== 'request') return false;
  return history.record === undefined || history.record.file === file;
}

/** Returns the jail file to record for a jail that it alone determines; an update keeps the recorded one. */
export function recordedFile(job: KnownJob): string | undefined {
  if (job.origin.kind === 'record') return job.history.record?.file;
  return isOfFile(job) ? job.options.file : undefined;
}

/** Returns options that apply to this build and to later ones. */
export function recordedOptions(job: KnownJob): RecordedOptions {
  const { options, history } = job;
  const before = isOfFile(job) ? undefined : history.record?.options;
  return {
    ...(options.allowMissing || before?.allowMissing ? { allowMissing: true } : {}),
    ...(options.recordDigests || before?.digests ? { digests: true } : {}),
  };
}

/** Returns whether entries absent from the manifest or jail file are removed from the jail. */
export function isPruning(job: KnownJob): boolean {
  return job.options.prune ?? (job.origin.kind === 'manifest' || isOfFile(job));
}

/** Returns the policy for files that were changed in the jail. */
export function changedPolicy({ options, origin }: BuildJob): ChangedPolicy {
  return options.changed ?? (origin.kind === 'manifest' ? 'replace' : 'keep-configuration');
}
