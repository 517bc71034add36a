import { JailbuildError } from '../errors.js';
import { DirectoryView } from '../fs/file-view.js';
import { isTrace, Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/access.js';
import { addXattrs } from '../jail/engine/source-xattrs.js';
import { readMountPoints } from '../jail/record/mount-points.js';
import { type JailRecord, readRecord } from '../jail/record/record.js';
import { STATE_DIRECTORY } from '../jail/record/state.js';
import type { Advice } from '../manifest/advice.js';
import { isCopyOf } from '../manifest/differences.js';
import type { Entry, Manifest, MissingLibrary } from '../manifest/manifest.js';
import { describeMissing, refuseMissing } from '../manifest/missing.js';
import { readManifest } from '../manifest/read.js';
import type { ResolveRequest } from '../manifest/request.js';
import { openSysroot } from '../plan/open-sysroot.js';
import { PlanView } from '../plan/plan-view.js';
import { planRequest, type Reading } from '../plan/resolve-request.js';
import { originalsOf, type VerifyOptions, verifyPlan } from '../plan/verify.js';
import type { FileTree } from './file-tree.js';
import { scanTree } from './scan.js';

/** A tree to export, verified as a build verifies its jail. */
export interface SourceTree {
  readonly tree: FileTree;
  readonly warnings: readonly string[];
  /** Files that programs may open at run time, and how to add them. */
  readonly hints?: readonly string[];
  /** Hints of what programs may lack, the likeliest first. */
  readonly advice?: readonly Advice[];
  /** Needed libraries that were not found. */
  readonly missing?: readonly MissingLibrary[];
  /** The system that the files come from and whose packages own them. */
  readonly sysroot: Sysroot;
  /** Returns the path in that system that an entry is a copy of. */
  originOf(entry: Entry): string | undefined;
  /** Returns the path in that system that an entry was copied from, even if the file has changed. */
  recordedOriginOf?(entry: Entry): string | undefined;
  /** The default command of a container. */
  readonly command?: readonly string[];
  /** Variables that its profiles set, by name. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Reads a jail as it is, with the reasons and origins of its record. A recorded program that no longer
 * finds its libraries causes a warning, not an error: the owner may have changed the jail.
 *
 * @param registry how the image that the jail is from is read, if a registry has it
 * @throws JailbuildError TARGET_NOT_A_DIRECTORY, NOT_READABLE, SOURCE_CHANGED, RECORD_REFUSED
 */
export async function jailTree(root: string, registry?: RegistryAccess): Promise<SourceTree> {
  const { warnings, ...scanned } = scanTree(root, { leaveOut: [STATE_DIRECTORY] });
  const record = readRecord(root);
  const { manifest } = record ?? {};
  const { entries, sourceRoot } = await addXattrs(
    { ...scanned, entries: withoutMountPoints(scanned.entries, root, manifest) },
    scanned.sourceRoot,
  );
  const { sysroot, unknown } = await originOfJail(record, scanned.sourceRoot, registry);
  const planned = new Map(manifest?.entries.map((entry) => [entry.path, entry]));
  const known = entries.map((entry): Entry => {
    const reasons = planned.get(entry.path)?.reasons ?? entry.reasons;
    return { ...entry, reasons };
  });
  const command = manifest === undefined ? undefined : firstProgram(manifest);
  return {
    tree: { entries: known, sourceRoot },
    warnings: [
      ...warnings,
      ...unknown,
      ...(manifest === undefined ? [] : jailProblems(manifest, sourceRoot)),
    ],
    sysroot,
    originOf: (entry) => originOf(entry, planned.get(entry.path)?.source ?? entry.path, sysroot),
    recordedOriginOf: ({ path }) => planned.get(path)?.source,
    hints: manifest?.hints ?? [],
    advice: manifest?.advice ?? [],
    missing: manifest?.missing ?? [],
    environment: manifest?.environment ?? {},
    ...(command === undefined ? {} : { command: [command] }),
  };
}

/**
 * Opens the root that the files of a jail are from. Where that cannot be had any more, nothing is known of
 * their packages: the jail's own root is returned, and a warning.
 */
async function originOfJail(
  record: JailRecord | undefined,
  jail: string,
  registry: RegistryAccess | undefined,
): Promise<{ readonly sysroot: Sysroot; readonly unknown: readonly string[] }> {
  try {
    const request = record === undefined ? undefined : await openSysroot(record.request, registry);
    return { sysroot: new Sysroot(request?.sysroot), unknown: [] };
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    const what = 'which packages the files of the jail are from is unknown';
    return { sysroot: new Sysroot(jail), unknown: [`${error.message}: ${what}`] };
  }
}

/**
 * Reads the entries of a manifest from their sources.
 *
 * @param root the directory that the sources are in; the default is `/`
 * @throws JailbuildError NOT_READABLE, MANIFEST_INVALID, LIBRARY_NOT_FOUND, VERIFY_FAILED
 */
export async function manifestTree(
  file: string,
  root: string | undefined,
  allowMissing: boolean,
): Promise<SourceTree> {
  const sysroot = new Sysroot(root);
  const manifest = readManifest(file);
  if (!allowMissing) refuseMissing(manifest.missing);
  return plannedTree(manifest, sysroot, {});
}

/**
 * Returns the entries of a manifest as recorded, for viewing: sources may have changed or be missing.
 *
 * @param root the directory that the sources were in; the default is `/`
 * @throws JailbuildError NOT_READABLE, MANIFEST_INVALID
 */
export function recordedTree(file: string, root: string | undefined): SourceTree {
  return describedTree(readManifest(file), new Sysroot(root));
}

/**
 * Resolves a request into a tree, without a jail on the disk.
 *
 * @throws JailbuildError VERIFY_FAILED, and as `planRequest`
 */
export async function requestTree(
  request: ResolveRequest,
  allowMissing: boolean,
  reading: Reading = {},
): Promise<SourceTree> {
  const { closure, manifest } = await planRequest(request, allowMissing, reading);
  const { sysroot, searchPath } = closure;
  const originals = originalsOf(closure, () => true);
  const detailed = await addXattrs(manifest, sysroot.prefix);
  return plannedTree(detailed, sysroot, { searchPath, originals });
}

function plannedTree(
  manifest: Manifest,
  sysroot: Sysroot,
  options: Omit<VerifyOptions, 'where'>,
): SourceTree {
  const { entries, missing, warnings } = manifest;
  const root = new Sysroot(new PlanView(entries, sysroot.prefix));
  verifyPlan(manifest, root, { ...options, where: 'in the exported root' });
  return {
    ...describedTree(manifest, sysroot),
    originOf: ({ source }) => source,
    warnings: [...missing.map(describeMissing), ...warnings],
  };
}

/** Returns the tree of a manifest without reading its sources. */
function describedTree(manifest: Manifest, sysroot: Sysroot): SourceTree {
  const { entries, environment = {}, missing, warnings, hints = [], advice = [] } = manifest;
  const program = firstProgram(manifest);
  return {
    tree: { entries, sourceRoot: sysroot.prefix },
    sysroot,
    originOf: (entry) =>
      entry.source === undefined ? undefined : originOf(entry, entry.source, sysroot),
    recordedOriginOf: ({ source }) => source,
    warnings,
    hints,
    advice,
    missing,
    environment,
    ...(program === undefined ? {} : { command: [program] }),
  };
}

/** The entries without what runs have made to mount on, as far as nothing has come into it. */
function withoutMountPoints(
  entries: readonly Entry[],
  root: string,
  manifest: Manifest | undefined,
): readonly Entry[] {
  const made = new Set(readMountPoints(root));
  if (made.size === 0) return entries;
  for (const { path } of manifest?.entries ?? []) made.delete(path);
  const holding = new Set<string>();
  const kept = entries.toReversed().filter((entry) => {
    const { path, type } = entry;
    const isEmpty = type === 'directory' ? !holding.has(path) : type === 'file' && entry.size === 0;
    if (made.has(path) && isEmpty) return false;
    holding.add(path.slice(0, path.lastIndexOf('/')));
    return true;
  });
  return kept.reverse();
}

function jailProblems(manifest: Manifest, root: string): readonly string[] {
  try {
    verifyPlan(manifest, new Sysroot(new DirectoryView(root)), { where: 'in the jail' });
    return [];
  } catch (error) {
    if (error instanceof JailbuildError) return [error.message];
    throw error;
  }
}

/** Where a jail's file comes from: the file of the system that it is a copy of, by size and time. */
function originOf(entry: Entry, source: string, sysroot: Sysroot): string | undefined {
  const found = sysroot.trace(source);
  if (!isTrace(found)) return undefined;
  if (entry.type !== 'file') {
    return found.links.some(({ path }) => path === source) ? source : undefined;
  }
  return isCopyOf(entry, found.stat) ? found.path : undefined;
}

/** Returns the path of the first requested program. */
function firstProgram({ request, entries }: Manifest): string | undefined {
  const [first] = request.programs;
  return entries.find(({ reasons }) =>
    reasons.some((reason) => reason.kind === 'requested' && reason.as === first),
  )?.path;
}
