import path from 'node:path';
import type { RegistryAccess } from '../image/registry/access.js';
import type { BuildChoices, BuildOptions as JobOptions } from '../jail/build/job.js';
import { type BuildResult, planBuild, resultOf, runBuild } from '../jail/build/pipeline.js';
import type { FileReport } from '../jail/report.js';
import { type Checks, checked, checkRequest, texts } from '../manifest/check-request.js';
import { addDigests } from '../manifest/digest.js';
import type { Field } from '../manifest/json-field.js';
import type { Manifest } from '../manifest/manifest.js';
import { readManifest } from '../manifest/read.js';
import type { ResolveRequest } from '../manifest/request.js';
import type { Limits } from '../plan/limits.js';
import {
  abortSignal,
  callback,
  changedChoice,
  checkOptions,
  checkPath,
  flag,
  registryAccess,
} from './options.js';

/** Options of `build`, `buildManifest`, `planJail`, `updateJail` and `planUpdate`. */
export interface BuildOptions extends BuildChoices {
  /** Record the SHA-256 of every file in the jail, so that `checkJail` needs no sources. */
  readonly digests?: boolean;
  /** Called with each finished entry of the jail. */
  readonly onFile?: (report: FileReport) => void;
}

/** Options of `buildManifest`. */
export interface BuildManifestOptions extends BuildOptions {
  /** The directory that contains the sources. The default is `/`. */
  readonly sysroot?: string;
}

/** Options of `planRoot`. */
export interface PlanOptions {
  /** Plan even if libraries are missing: the manifest lists them. */
  readonly allowMissing?: boolean;
  /** How a sysroot is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
  /** Read each file again instead of using what earlier runs have stored, and store nothing. */
  readonly noCache?: boolean;
}

const LIMITS: Checks<Limits> = {
  maxSize: (field) => field.integer(0, Number.MAX_SAFE_INTEGER),
  maxFiles: (field) => field.integer(0, Number.MAX_SAFE_INTEGER),
  forbid: texts,
  forbidSetId: flag,
};

const BUILD = {
  noClobber: flag,
  allowMissing: flag,
  digests: flag,
  changed: changedChoice,
  prune: flag,
  record: flag,
  strict: flag,
  link: flag,
  noSync: flag,
  noCache: flag,
  insecureParents: flag,
  limits: (field: Field): Limits => checked(field, LIMITS),
  wait: flag,
  onWait: callback<() => void>,
  onWrite: callback<NonNullable<BuildOptions['onWrite']>>,
  registry: registryAccess,
  signal: abortSignal,
  onFile: callback<(report: FileReport) => void>,
};

/** Converts a caller's options to those of a job and its progress callbacks. */
export function buildOptions(options: BuildOptions): {
  readonly options: JobOptions;
  readonly progress: { readonly onFile?: (report: FileReport) => void };
} {
  const { digests = false, onFile, ...rest } = checkOptions<BuildOptions>(options, BUILD);
  return {
    options: { ...rest, recordDigests: digests },
    progress: onFile === undefined ? {} : { onFile },
  };
}

/**
 * Builds a jail: resolves the request, writes what it needs into the target, and verifies that the
 * programs find everything there. On failure the target is unchanged.
 *
 * @param target the jail's directory; created if it does not exist
 * @throws JailbuildError USAGE, PROGRAM_NOT_FOUND, LIBRARY_NOT_FOUND, VERIFY_FAILED and others
 * @throws the reason of `signal`
 */
export async function build(
  request: ResolveRequest,
  target: string,
  options: BuildOptions = {},
): Promise<BuildResult> {
  const origin = { kind: 'request', request: checkRequest(request) } as const;
  const made = buildOptions(options);
  const job = { origin, target: checkPath(target, 'target'), options: made.options };
  return resultOf(await runBuild(job, made.progress));
}

/**
 * Builds exactly what a manifest describes. First compares its sources with its digests; removes
 * entries of earlier builds that it does not list.
 *
 * @param file the path of the manifest
 * @throws JailbuildError MANIFEST_INVALID, DIGEST_MISMATCH, and as `build`
 */
export async function buildManifest(
  file: string,
  target: string,
  { sysroot, ...options }: BuildManifestOptions = {},
): Promise<BuildResult> {
  const name = path.resolve(checkPath(file, 'file'));
  const root = sysroot === undefined ? undefined : checkPath(sysroot, 'options: sysroot');
  const given = { manifest: readManifest(name), file: name, sysroot: root };
  const made = buildOptions(options);
  const origin = { kind: 'manifest', given } as const;
  const job = { origin, target: checkPath(target, 'target'), options: made.options };
  return resultOf(await runBuild(job, made.progress));
}

/**
 * Plans a jail as `build` would build it now, including what it already contains. Writes nothing.
 *
 * @returns the manifest, with digests and extended attributes, as `jailbuild build --dry-run`
 *   prints it
 * @throws JailbuildError as `build`, except errors of writing
 */
export async function planJail(
  request: ResolveRequest,
  target: string,
  options: BuildOptions = {},
): Promise<Manifest> {
  const origin = { kind: 'request', request: checkRequest(request) } as const;
  const made = { ...buildOptions(options).options, digests: true };
  const job = { origin, target: checkPath(target, 'target'), options: made };
  return (await planBuild(job)).manifest;
}

/**
 * Plans a root that contains what a request needs, independent of a target. Writes nothing.
 *
 * @returns the manifest, with digests and extended attributes
 * @throws JailbuildError USAGE, PROGRAM_NOT_FOUND, LIBRARY_NOT_FOUND and others
 */
export async function planRoot(
  request: ResolveRequest,
  options: PlanOptions = {},
): Promise<Manifest> {
  const { allowMissing = false, ...reading } = checkOptions<PlanOptions>(options, {
    allowMissing: flag,
    registry: registryAccess,
    noCache: flag,
  });
  const checked = checkRequest(request);
  const { planRequest } = await import('../plan/resolve-request.js');
  const { closure, manifest } = await planRequest(checked, allowMissing, reading);
  const { prefix } = closure.sysroot;
  const { addXattrs } = await import('../jail/engine/source-xattrs.js');
  const { findSparse } = await import('../jail/engine/sparse-sources.js');
  const sparse = await findSparse(manifest.entries, prefix);
  return addXattrs(await addDigests(manifest, prefix, undefined, sparse), prefix);
}
