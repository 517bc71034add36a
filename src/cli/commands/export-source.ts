import { statSync } from 'node:fs';
import { JailbuildError } from '../../errors.js';
import type { FileTree } from '../../export/file-tree.js';
import { scanTree } from '../../export/scan.js';
import { toBytes } from '../../fs/path-bytes.js';
import { isTrace, Sysroot } from '../../fs/sysroot.js';
import { addXattrs } from '../../jail/engine/source-xattrs.js';
import { readRecord } from '../../jail/record/record.js';
import { STATE_DIRECTORY } from '../../jail/record/state.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { describeMissing, refuseMissing } from '../../manifest/missing.js';
import { readManifest } from '../../manifest/read.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { nanoseconds } from '../../manifest/timestamp.js';
import { planRequest } from '../../plan/resolve-request.js';
import { type JailFile, readJailFile } from '../../profile/jail-file.js';
import type { ExportArguments } from '../options/export.js';
import { findJailFile } from '../options/jail-file.js';
import { jailFileRequest, optionsRequest } from '../options/request.js';
import { optionsOf, resolveOptions } from '../options/resolve.js';

/** What a command line names for export. */
export interface ExportSource {
  /** The jail file, where it is one. */
  readonly file?: JailFile;
  read(): Promise<SourceTree>;
}

export interface SourceTree {
  readonly tree: FileTree;
  readonly warnings: readonly string[];
  /** The system that the files are from, and whose packages own them. */
  readonly sysroot: Sysroot;
  /** The path in it that an entry is a copy of. */
  originOf(entry: Entry): string | undefined;
  /** What a container runs where nothing else is said. */
  readonly command?: readonly string[];
  /** Variables that its profiles set, by name. */
  readonly environment: Readonly<Record<string, string>>;
}

/** How far a time may be off that a file system or a copy keeps less exactly, in nanoseconds. */
const TIME_DRIFT = 1_000n;

/** What says how programs are resolved. */
const RESOLVE_OPTIONS = [
  'profile',
  'include',
  'exclude',
  ...(Object.keys(resolveOptions) as (keyof typeof resolveOptions)[]),
  'allow-missing',
] as const;

/**
 * Finds what is to be exported: a jail, a jail file, a manifest, or programs.
 *
 * @throws JailbuildError USAGE, and what reading a jail file throws
 */
export function findSource(args: ExportArguments): ExportSource {
  const { what = [], from } = args;
  const options = RESOLVE_OPTIONS.filter((name) => args[name] !== undefined);
  const only = (kind: string, ...allowed: readonly string[]): void => {
    const other = options.find((name) => !allowed.includes(name));
    if (other === undefined) return;
    throw new JailbuildError('USAGE', `--${other} goes with programs, not with ${kind}`);
  };
  if (from !== undefined && what.length > 0) {
    throw new JailbuildError('USAGE', 'name a jail or programs, or give --from, not both');
  }
  if (from?.endsWith('.json')) {
    only('a manifest', 'sysroot', 'allow-missing');
    return { read: () => manifestSource(args, from) };
  }
  const named = options.includes('profile') ? from : findJailFile(from, what[0]);
  if (named !== undefined) {
    only('a jail file', 'allow-missing');
    const file = readJailFile(named);
    const allowMissing = args['allow-missing'] ?? file.options['allow-missing'] === true;
    return { file, read: () => resolvedSource(jailFileRequest(file), allowMissing) };
  }
  if (isJail(what)) {
    only('a jail');
    return { read: () => jailSource(what[0] ?? '') };
  }
  const asked = [...what, ...(args.profile ?? [])];
  if (asked.length === 0) throw new JailbuildError('USAGE', 'name a jail or at least one program');
  const { profile, include, exclude } = args;
  const request = { ...optionsOf(args), program: [...what], profile, include, exclude };
  return { read: () => resolvedSource(optionsRequest(request), args['allow-missing'] ?? false) };
}

/** Whether a lone word names a jail. */
function isJail(what: readonly string[]): boolean {
  const [word, ...others] = what;
  if (word === undefined || others.length > 0) return false;
  return statSync(toBytes(word), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** A jail as it is, with what its record knows of reasons and origins. */
async function jailSource(root: string): Promise<SourceTree> {
  const { warnings, ...scanned } = scanTree(root, { leaveOut: [STATE_DIRECTORY] });
  const { entries, sourceRoot } = await addXattrs(scanned, scanned.sourceRoot);
  const { manifest, request } = readRecord(root) ?? {};
  const sysroot = new Sysroot(request?.sysroot);
  const planned = new Map(manifest?.entries.map((entry) => [entry.path, entry]));
  const known = entries.map((entry): Entry => {
    const reasons = planned.get(entry.path)?.reasons ?? entry.reasons;
    return { ...entry, reasons };
  });
  const command = manifest === undefined ? undefined : firstProgram(manifest);
  return {
    tree: { entries: known, sourceRoot },
    warnings,
    sysroot,
    originOf: (entry) => originOf(entry, planned.get(entry.path)?.source ?? entry.path, sysroot),
    environment: manifest?.environment ?? {},
    ...(command === undefined ? {} : { command: [command] }),
  };
}

/**
 * Where a jail's file comes from: the file of the system that it is a copy of by size and time, which
 * copies keep.
 */
function originOf(entry: Entry, source: string, sysroot: Sysroot): string | undefined {
  const found = sysroot.trace(source);
  if (!isTrace(found)) return undefined;
  if (entry.type !== 'file')
    return found.links.some(({ path }) => path === source) ? source : undefined;
  const { size, mtimeNs } = found.stat;
  const drift = mtimeNs - nanoseconds(entry.mtime);
  const isCopy = size === entry.size && drift < TIME_DRIFT && drift > -TIME_DRIFT;
  return isCopy ? found.path : undefined;
}

async function manifestSource(args: ExportArguments, file: string): Promise<SourceTree> {
  const sysroot = new Sysroot(args.sysroot);
  return planned(readManifest(file), sysroot, args['allow-missing'] ?? false);
}

async function resolvedSource(request: ResolveRequest, allowMissing: boolean): Promise<SourceTree> {
  const { closure, manifest } = await planRequest(request, allowMissing);
  const { sysroot } = closure;
  return planned(await addXattrs(manifest, sysroot.prefix), sysroot, allowMissing);
}

function planned(manifest: Manifest, sysroot: Sysroot, allowMissing: boolean): SourceTree {
  const { entries, environment = {}, missing, warnings } = manifest;
  if (!allowMissing) refuseMissing(missing);
  const program = firstProgram(manifest);
  return {
    tree: { entries, sourceRoot: sysroot.prefix },
    sysroot,
    originOf: ({ source }) => source,
    warnings: [...missing.map(describeMissing), ...warnings],
    environment,
    ...(program === undefined ? {} : { command: [program] }),
  };
}

/** Where the program is that was asked for first. */
function firstProgram({ request, entries }: Manifest): string | undefined {
  const [first] = request.programs;
  return entries.find(({ reasons }) =>
    reasons.some((reason) => reason.kind === 'requested' && reason.as === first),
  )?.path;
}
