import { JailbuildError } from './errors.js';
import { refuseInsecure } from './jail/parents.js';
import type { FileReport } from './jail/report.js';
import { checkTarget, locateTarget } from './jail/target.js';
import { writeJail } from './jail/write.js';
import { addDigests } from './plan/digest.js';
import type { Manifest } from './plan/manifest.js';
import { refuseMissing } from './plan/missing.js';
import { plan } from './plan/plan.js';
import { type Additions, needsAdditions } from './resolve/additions.js';
import type { ResolveRequest } from './resolve/request.js';
import type { Closure } from './resolve/resolve.js';
import { resolve } from './resolve/resolve.js';
import { verifyJail } from './verify/verify.js';

export interface BuildOptions {
  /** Leave files that the target has already. */
  readonly noClobber?: boolean;
  /** Build although libraries are missing. */
  readonly allowMissing?: boolean;
  /** Only a plan is wanted: the target need not be writable. */
  readonly dryRun?: boolean;
  /** Note the SHA-256 of every file in the manifest, and extended attributes. */
  readonly digests?: boolean;
  /** Fail where the jail cannot be exactly as planned, rather than warn. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where that is possible. */
  readonly link?: boolean;
  /** Do not wait until what is written is on the disk. */
  readonly noSync?: boolean;
  /** Accept a target below directories that others may write to. */
  readonly insecureParents?: boolean;
  /** Wait for another build that is at work in the target. */
  readonly wait?: boolean;
  /** Called once before waiting. */
  readonly onWait?: () => void;
  /** Ends the build, leaving the target as it was. */
  readonly signal?: AbortSignal;
}

export interface BuildResult {
  readonly manifest: Manifest;
  readonly files: readonly FileReport[];
}

/** A build on its way through the steps. Each step fills in what the next ones read. */
export interface BuildJob {
  readonly request: ResolveRequest;
  readonly target: string;
  readonly options: BuildOptions;
  closure?: Closure;
  manifest?: Manifest;
  files?: readonly FileReport[];
  /** What the jail has not as the plan says: sentences for the user. */
  warnings?: readonly string[];
  /** The number of files that the programs were found to load inside the jail. */
  verified?: number;
}

/** One stage of the pipeline. */
export interface BuildStep {
  readonly name: 'resolve' | 'plan' | 'write' | 'verify';
  run(job: BuildJob, onFile?: (report: FileReport) => void): Promise<void>;
}

const resolveStep: BuildStep = {
  name: 'resolve',
  async run(job) {
    job.closure = resolve(job.request, await loadAdditions(job.request));
    if (!job.options.allowMissing) refuseMissing(job.closure.missing);
  },
};

/** Reading profiles costs several milliseconds, which the main job need not pay. */
async function loadAdditions(request: ResolveRequest): Promise<Additions | undefined> {
  if (!needsAdditions(request)) return undefined;
  const { additionsOf } = await import('./profile/expand.js');
  return additionsOf(request);
}

const planStep: BuildStep = {
  name: 'plan',
  async run(job) {
    const { sysroot } = filled(job.closure);
    const manifest = plan(filled(job.closure));
    checkPlanTarget(manifest, job, sysroot.prefix);
    if (!job.options.dryRun && !job.options.insecureParents) {
      refuseInsecure(locateTarget(job.target), job.target);
    }
    job.manifest = job.options.digests ? await addDetails(manifest, sysroot.prefix) : manifest;
  },
};

/** What a manifest has for its readers; the writer copies files and their attributes as they are. */
async function addDetails(manifest: Manifest, sourceRoot: string): Promise<Manifest> {
  const { addXattrs } = await import('./jail/source-xattrs.js');
  return addXattrs(await addDigests(manifest, sourceRoot), sourceRoot);
}

/** A dry run is good for a target that the user may not write to. */
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

const writeStep: BuildStep = {
  name: 'write',
  async run(job, onFile = () => {}) {
    const warnings: string[] = [];
    job.warnings = warnings;
    job.files = await writeJail(filled(job.manifest), job.target, {
      ...job.options,
      sourceRoot: filled(job.closure).sysroot.prefix,
      onFile,
      onWarning: (message) => warnings.push(message),
    });
  },
};

const verifyStep: BuildStep = {
  name: 'verify',
  async run(job) {
    job.verified = verifyJail(filled(job.manifest), job.target, filled(job.closure).searchPath);
  },
};

/** The pipeline of the main job, in order. A user interface may run the steps itself. */
export const BUILD_STEPS: readonly BuildStep[] = [resolveStep, planStep, writeStep, verifyStep];

/**
 * The pipeline up to the plan, for a dry run: nothing is written.
 *
 * @throws JailbuildError with any code of these stages
 */
export async function planJail(
  request: ResolveRequest,
  target: string,
  options: BuildOptions = {},
): Promise<Manifest> {
  const job: BuildJob = { request, target, options: { ...options, dryRun: true } };
  await resolveStep.run(job);
  await planStep.run(job);
  return filled(job.manifest);
}

/**
 * Builds a jail: resolves the request, writes what it needs into the target and proves that the
 * programs find everything there. On failure the target is as it was.
 *
 * @param target the jail's directory; made if it does not exist
 * @param onFile called for each entry as it is done
 * @throws JailbuildError with any code of the stages
 */
export async function build(
  request: ResolveRequest,
  target: string,
  options: BuildOptions = {},
  onFile: (report: FileReport) => void = () => {},
): Promise<BuildResult> {
  const job: BuildJob = { request, target, options };
  for (const step of BUILD_STEPS) await step.run(job, onFile);
  return { manifest: filled(job.manifest), files: filled(job.files) };
}

function filled<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a build step ran before the one it depends on');
  return value;
}
