import type { RegistryAccess } from '../../image/registry/client.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { Limits } from '../../plan/limits.js';
import type { ChangedPolicy } from '../record/owned-entries.js';
import type { JailHistory, JailRecord, RecordedOptions } from '../record/record.js';

/** Options of a build that its caller chooses. */
export interface BuildChoices {
  /** Leave files that the target has already. */
  readonly noClobber?: boolean;
  /** Build although libraries are missing. */
  readonly allowMissing?: boolean;
  /** What happens to files that were changed in the jail since they were made. */
  readonly changed?: ChangedPolicy;
  /** Take out what earlier builds put into the jail and the plan no longer has. */
  readonly prune?: boolean;
  /** False to leave no record in the jail. */
  readonly record?: boolean;
  /** What the plan must not exceed. */
  readonly limits?: Limits | undefined;
  /** Fail where the jail cannot be exactly as planned, rather than warn. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where that is possible. */
  readonly link?: boolean;
  /** Do not wait until what is written is on the disk. */
  readonly noSync?: boolean;
  /** Resolve although an earlier build has found what the request needs, and keep no result. */
  readonly noCache?: boolean;
  /** Accept a target below directories that others may write to. */
  readonly insecureParents?: boolean;
  /** Wait for another build in the same target. */
  readonly wait?: boolean;
  /** Called once before waiting. */
  readonly onWait?: () => void;
  /** Called before anything is written. What it throws ends the build. */
  readonly onWrite?: (manifest: Manifest, sourceRoot: string) => void | Promise<void>;
  /** How a sysroot is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
  /** Ends the build, leaving the target as it was. */
  readonly signal?: AbortSignal;
}

/** Options of a build. */
export interface BuildOptions extends BuildChoices {
  /** Only plan: the target need not be writable. */
  readonly dryRun?: boolean;
  /** Note the SHA-256 of every file in the manifest, and extended attributes. */
  readonly digests?: boolean;
  /** Note them in this jail's record, now and at its updates. */
  readonly recordDigests?: boolean;
  /**
   * The jail file that the request is from, by its absolute path: a jail of it alone is to hold what
   * the file says now, and no more.
   */
  readonly file?: string;
  /** The request is all that the jail is to hold, instead of more than it was built for before. */
  readonly replaces?: boolean;
  /** Defaults for `run`, for the record. */
  readonly run?: JailRecord['run'] | undefined;
}

/** A manifest given by the user, as it was read. */
export interface GivenManifest {
  readonly manifest: Manifest;
  /** Its file's absolute path. */
  readonly file: string;
  /** The directory that its sources are in; the default is `/`. */
  readonly sysroot?: string | undefined;
}

/** What determines the content of the jail. */
export type BuildOrigin =
  /** A request, added to what the jail was built for before. */
  | { readonly kind: 'request'; readonly request: ResolveRequest }
  /** A manifest that is to be built as it is. */
  | { readonly kind: 'manifest'; readonly given: GivenManifest }
  /** The record of the jail: an update. */
  | { readonly kind: 'record' };

/** A build as requested by the caller. */
export interface BuildJob {
  readonly origin: BuildOrigin;
  /** The jail's directory, as the user names it. */
  readonly target: string;
  readonly options: BuildOptions;
}

/** A job with what is known of earlier builds in its target. */
export interface KnownJob extends BuildJob {
  readonly history: JailHistory;
}

/** Returns whether the request of the job alone, such as that of a jail file, determines the content of the jail. */
export function isOfFile({ options: { file, replaces }, origin, history }: KnownJob): boolean {
  if (origin.kind === 'request' && replaces) return true;
  if (file === undefined || origin.kind !== 'request') return false;
  return history.record === undefined || history.record.file === file;
}

/** The file of a jail that is of it alone, for its record; an update changes nothing of that. */
export function recordedFile(job: KnownJob): string | undefined {
  if (job.origin.kind === 'record') return job.history.record?.file;
  return isOfFile(job) ? job.options.file : undefined;
}

/** Options that hold for this build and for later ones, once they were given. */
export function recordedOptions(job: KnownJob): RecordedOptions {
  const { options, history } = job;
  const before = isOfFile(job) ? undefined : history.record?.options;
  return {
    ...(options.allowMissing || before?.allowMissing ? { allowMissing: true } : {}),
    ...(options.recordDigests || before?.digests ? { digests: true } : {}),
  };
}

/** Entries absent from the manifest or the jail file are removed from the jail. */
export function isPruning(job: KnownJob): boolean {
  return job.options.prune ?? (job.origin.kind === 'manifest' || isOfFile(job));
}

/** What happens to files that were changed in the jail. */
export function changedPolicy({ options, origin }: BuildJob): ChangedPolicy {
  return options.changed ?? (origin.kind === 'manifest' ? 'replace' : 'keep-configuration');
}
