import { type BigIntStats, closeSync, constants, lstatSync, openSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { HeldDirectory } from '../../fs/dir-handle.js';
import { releaseTrees } from '../../fs/held-tree.js';
import { readLink, toBytes } from '../../fs/path-bytes.js';
import {
  type RecordedAttributes,
  recordedAttributes,
  withRecorded,
} from '../../fs/recorded-attributes.js';
import { Sysroot } from '../../fs/sysroot.js';
import type { RegistryAccess } from '../../image/registry/access.js';
import { ContentComparer } from '../../manifest/compare-content.js';
import {
  type Difference,
  describeDifference,
  differences,
  octal,
} from '../../manifest/differences.js';
import { typeOf } from '../../manifest/entry-type.js';
import { capabilityText } from '../../manifest/file-capabilities.js';
import type { Entry, FileEntry } from '../../manifest/manifest.js';
import { describeMissing } from '../../manifest/missing.js';
import { CAPABILITY_XATTR } from '../../manifest/privileged-files.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { openSysroot, reopenSysroot } from '../../plan/open-sysroot.js';
import { newlyMissing, programsOf, resolveInRoot } from '../../plan/verify.js';
import { openNativeEngine } from '../engine/open.js';
import { isMountPoint, readMountPoints } from '../record/mount-points.js';
import { type JailRecord, requireRecord } from '../record/record.js';
import { STATE_DIRECTORY } from '../record/state.js';
import { locateTarget } from '../target.js';
import { type CheckFinding, FINDING_KINDS, type FindingKind } from './finding.js';
import { SystemDirectories } from './system-directories.js';

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
  const check = new JailCheck(
    record,
    readMountPoints(root),
    options.quick ? undefined : new ContentComparer(sourceRoot),
  );
  try {
    check.walk(path);
    await check.compareXattrs(path, sourceRoot);
    check.resolvePrograms(path);
    check.compareImage(now);
    check.compareSources(sourceRoot);
  } finally {
    releaseTrees();
  }
  const findings = check.findings.filter(({ kind }) => !ignored.has(kind));
  const rank = ({ kind }: CheckFinding) => FINDING_KINDS.indexOf(kind);
  findings.sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
  return { findings, checked: record.manifest.entries.length, unknown: check.unknown };
}

/** Opens the sysroot; reads its image anew only if changes since the build are to be reported. */
function sysrootNow(
  request: ResolveRequest,
  mayBeStale: boolean,
  registry: RegistryAccess | undefined,
): Promise<ResolveRequest> {
  return mayBeStale ? openSysroot(request, registry) : reopenSysroot(request, registry);
}

/** Attributes that an entry takes from its source when a manifest was built. */
const SOURCE_ATTRIBUTES: ReadonlySet<Difference['attribute']> = new Set([
  'type',
  'size',
  'target',
  'device',
]);

class JailCheck {
  readonly findings: CheckFinding[] = [];
  readonly unknown: string[] = [];
  readonly #record: JailRecord;
  readonly #comparer: ContentComparer | undefined;
  readonly #system: SystemDirectories;
  /** Planned entries by path, and their names by directory. */
  readonly #planned = new Map<string, Entry>();
  readonly #names = new Map<string, string[]>();
  readonly #found: ReadonlySet<string>;
  readonly #kept: ReadonlySet<string>;
  readonly #former: ReadonlySet<string>;
  readonly #mountPoints: ReadonlySet<string>;
  /** Existing paths, and planned paths that exist with the planned type. */
  readonly #seen = new Set<string>();
  readonly #present = new Set<string>();
  /** Regular files of the jail, whatever made them. */
  readonly #files: string[] = [];
  /** Results by device and inode, so that hard links are compared once. */
  readonly #contents = new Map<string, string>();
  #device = 0n;
  #builtNs = 0n;

  constructor(
    record: JailRecord,
    mountPoints: ReadonlySet<string>,
    comparer: ContentComparer | undefined,
  ) {
    this.#record = record;
    this.#comparer = comparer;
    this.#system = new SystemDirectories(record.manifest);
    this.#found = new Set(record.found);
    this.#kept = new Set(record.kept);
    this.#mountPoints = mountPoints;
    this.#former = new Set(record.former.map(({ path }) => path));
    for (const entry of record.manifest.entries) {
      this.#planned.set(entry.path, entry);
      const cut = entry.path.lastIndexOf('/');
      const parent = entry.path.slice(0, cut);
      const names = this.#names.get(parent);
      if (names === undefined) this.#names.set(parent, [entry.path.slice(cut + 1)]);
      else names.push(entry.path.slice(cut + 1));
    }
  }

  walk(root: string): void {
    const directory = HeldDirectory.open(root);
    try {
      const stat = directory.stat();
      this.#device = stat.dev;
      this.#builtNs = recordTime(directory);
      this.#checkWritable('', stat, undefined);
      this.#walk(directory, '');
    } finally {
      directory.close();
    }
  }

  /**
   * Compares extended attributes with the record. For every file of the jail, also compares capabilities with the
   * record or, for unrecorded files, with the source.
   */
  async compareXattrs(root: string, sourceRoot: string): Promise<void> {
    const described = this.#record.manifest.entries.filter(
      ({ path, type, xattrs }) =>
        xattrs !== undefined && type !== 'file' && this.#present.has(path),
    );
    const paths = [...this.#files, ...described.map(({ path }) => path)];
    const found = await xattrsBelow(root, paths);
    if (found === undefined) return;
    const granting: string[] = [];
    for (const path of paths) {
      const actual = found.get(path) ?? {};
      if (actual[CAPABILITY_XATTR] !== undefined) granting.push(path);
      const planned = this.#planned.get(path)?.xattrs;
      if (planned === undefined || !this.#present.has(path) || this.#kept.has(path)) continue;
      const names = new Set([...Object.keys(planned), ...Object.keys(actual)]);
      const differing = [...names].filter(
        (name) => planned[name] !== actual[name] && this.#isKeptByBuilder(name),
      );
      if (differing.length > 0) this.#add('changed', path, differing.sort());
    }
    await this.#checkCapabilities(granting, found, sourceRoot);
  }

  async #checkCapabilities(
    granting: readonly string[],
    found: XattrsByPath,
    sourceRoot: string,
  ): Promise<void> {
    const originals = granting.flatMap((path): Entry[] => {
      const entry = this.#planned.get(path);
      return entry?.source === undefined || entry.xattrs !== undefined ? [] : [entry];
    });
    const sources = originals.flatMap(({ source }) => source ?? []);
    const ofSources = (await xattrsBelow(sourceRoot || '/', sources)) ?? new Map();
    for (const path of granting) {
      const { source = '', xattrs = ofSources.get(source) } = this.#planned.get(path) ?? {};
      const value = found.get(path)?.[CAPABILITY_XATTR] ?? '';
      if (xattrs?.[CAPABILITY_XATTR] === value) continue;
      this.#add('set-id', path, [`capabilities ${capabilityText(value)}`]);
    }
  }

  /** Returns whether the builder could set an attribute: users other than root cannot set all (xattr(7)). */
  #isKeptByBuilder(name: string): boolean {
    return this.#record.builder === undefined || !/^(security|trusted)\./.test(name);
  }

  resolvePrograms(root: string): void {
    const { manifest, request } = this.#record;
    const searchPath = request.path === undefined ? {} : { searchPath: request.path };
    const programs = programsOf(manifest).filter((path) => this.#present.has(path));
    const attempt = (some: readonly string[]): JailbuildError | undefined => {
      try {
        const closure = resolveInRoot(manifest, new Sysroot(root), some, searchPath);
        for (const library of newlyMissing(closure, manifest)) {
          const { name, neededBy, version } = library;
          this.#add('unresolved', neededBy, [
            version === undefined ? name : describeMissing(library),
          ]);
        }
        return undefined;
      } catch (error) {
        if (error instanceof JailbuildError) return error;
        throw error;
      }
    };
    // One verification of all programs is fastest, but a program that cannot be parsed hides the others.
    if (attempt(programs) === undefined) return;
    for (const program of programs) {
      const error = attempt([program]);
      if (error !== undefined) this.#add('unresolved', program, [error.message]);
    }
  }

  compareImage({ sysrootImage: now }: ResolveRequest): void {
    const { sysrootImage: before } = this.#record.request;
    if (before === undefined || now === undefined || before.id === now.id) return;
    this.#add('stale', '/', [`${now.reference} is now ${now.id}, not ${before.id}`]);
  }

  compareSources(sourceRoot: string): void {
    const recorded = recordedAttributes(sourceRoot);
    for (const entry of this.#record.manifest.entries) {
      if (entry.source === undefined) continue;
      const attributes = recorded?.get(entry.source);
      const details = this.#sourceChanges(entry, sourceRoot + entry.source, attributes);
      if (details.length > 0) this.#add('stale', entry.path, details);
    }
  }

  #sourceChanges(
    entry: Entry,
    realPath: string,
    recorded: RecordedAttributes | undefined,
  ): readonly string[] {
    const found = sourceDifferences(entry, realPath, recorded);
    if (typeof found === 'string') return [found];
    const essential = found.filter(({ attribute }) => SOURCE_ATTRIBUTES.has(attribute));
    if (this.#record.from === undefined) {
      return [...new Set([...essential, ...found])].map(describeDifference);
    }
    // A manifest sets attributes itself; a source with another time may have the same content.
    if (entry.type !== 'file' || essential.length > 0) return essential.map(describeDifference);
    const isOfOtherTime = found.some(({ attribute }) => attribute === 'mtime');
    return isOfOtherTime ? this.#sourceContent(entry, realPath) : [];
  }

  #sourceContent(entry: FileEntry, realPath: string): readonly string[] {
    if (this.#comparer === undefined) return [];
    try {
      const fd = openSync(toBytes(realPath), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        return this.#comparer.compare(fd, entry) === 'different' ? ['content'] : [];
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return [`source: ${strerror(error)}`];
    }
  }

  #walk(directory: HeldDirectory, path: string): void {
    for (const name of namesOf(directory, path)) {
      if (path === '' && name === STATE_DIRECTORY) continue;
      try {
        this.#visit(directory, name, `${path}/${name}`);
      } catch (error) {
        throw unreadable(`${path}/${name}`, error);
      }
    }
    for (const name of this.#names.get(path) ?? []) {
      const at = `${path}/${name}`;
      if (!this.#seen.has(at)) this.#miss(at);
    }
  }

  #visit(directory: HeldDirectory, name: string, path: string): void {
    const stat = directory.lstat(name);
    if (stat === undefined) return;
    this.#seen.add(path);
    if (stat.isFile() && stat.dev === this.#device) this.#files.push(path);
    const entry = this.#planned.get(path);
    if (entry !== undefined) this.#compare(entry, stat, directory, name);
    else if (!this.#former.has(path) && !this.#isOfRun(path, stat)) this.#checkForeign(path, stat);
    if (stat.isFile() && setId(stat) !== 0 && setId(stat) !== expectedSetId(entry)) {
      this.#add('set-id', path, [`mode ${octal(Number(stat.mode & 0o7777n))}`]);
    }
    if (!stat.isDirectory()) {
      if (entry?.type === 'directory') this.#missBelow(path);
      return;
    }
    this.#checkWritable(path, stat, entry);
    if (stat.dev !== this.#device) return;
    const inner = enter(directory, name);
    if (inner === undefined) return;
    try {
      this.#walk(inner, path);
    } finally {
      inner.close();
    }
  }

  #compare(entry: Entry, stat: BigIntStats, directory: HeldDirectory, name: string): void {
    const { path } = entry;
    const found = differences(entry, stat, {
      owner: this.#record.builder ?? 'planned',
      readTarget: () => directory.readlink(name),
    });
    const isOfType = found[0]?.attribute !== 'type';
    if (isOfType) this.#present.add(path);
    // Entries that existed before the build or come from the user may differ.
    if (this.#kept.has(path)) return;
    if (isOfType && entry.type === 'directory' && this.#found.has(path)) return;
    const isOfSize = found.every(({ attribute }) => attribute !== 'type' && attribute !== 'size');
    const details = [
      ...found.map(describeDifference),
      ...(entry.type === 'file' && isOfSize
        ? this.#contentChange(entry, stat, directory, name)
        : []),
    ];
    if (details.length > 0) this.#add('changed', path, details);
  }

  #contentChange(
    entry: FileEntry,
    stat: BigIntStats,
    directory: HeldDirectory,
    name: string,
  ): string[] {
    if (this.#comparer === undefined) return [];
    const key = `${stat.dev}:${stat.ino}`;
    let result = this.#contents.get(key);
    if (result === undefined) {
      result = this.#compareContent(this.#comparer, entry, directory, name);
      this.#contents.set(key, result);
    }
    if (result === 'different') return ['content'];
    if (result !== 'unknown') return result === 'same' ? [] : [`content: ${result}`];
    if (stat.ctimeNs > this.#builtNs) return ['content: was touched since the build'];
    this.unknown.push(entry.path);
    return [];
  }

  #compareContent(
    comparer: ContentComparer,
    entry: FileEntry,
    directory: HeldDirectory,
    name: string,
  ): string {
    try {
      const fd = directory.file(name);
      try {
        return comparer.compare(fd, entry);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return strerror(error);
    }
  }

  #isOfRun(path: string, stat: BigIntStats): boolean {
    return this.#mountPoints.has(path) && isMountPoint(stat);
  }

  #checkForeign(path: string, stat: BigIntStats): void {
    const type = typeOf(stat);
    const isDevice = type === 'character-device' || type === 'block-device';
    if (isDevice || this.#system.mayNotHold(path)) this.#add('foreign', path, [type]);
  }

  /** Write permission copied from the source is intended; write permission added later is a finding. */
  #checkWritable(path: string, stat: BigIntStats, entry: Entry | undefined): void {
    if (!this.#system.isSystem(path)) return;
    const { builder } = this.#record;
    const planned = entry !== undefined && !this.#found.has(path) ? entry : undefined;
    const allowed = planned === undefined ? 0 : Number.parseInt(planned.mode, 8);
    const owners = [0, builder?.uid, planned?.uid];
    const details = [
      ...((Number(stat.mode) & 0o022 & ~allowed) === 0
        ? []
        : [`mode ${octal(Number(stat.mode & 0o7777n))}`]),
      ...(owners.includes(Number(stat.uid)) ? [] : [`uid ${stat.uid}`]),
    ];
    if (details.length > 0) this.#add('writable', path === '' ? '/' : path, details);
  }

  #missBelow(path: string): void {
    for (const name of this.#names.get(path) ?? []) this.#miss(`${path}/${name}`);
  }

  #miss(path: string): void {
    this.#seen.add(path);
    this.#add('missing', path, []);
    this.#missBelow(path);
  }

  #add(kind: FindingKind, path: string, details: readonly string[]): void {
    this.findings.push({ kind, path, details });
  }
}

type XattrsByPath = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Returns the extended attributes of files below a directory, by path; undefined without the native engine. */
async function xattrsBelow(
  root: string,
  paths: readonly string[],
): Promise<XattrsByPath | undefined> {
  if (paths.length === 0) return new Map();
  const engine = await openNativeEngine(root, root);
  if (engine === undefined) return undefined;
  try {
    const found = await engine.xattrs(paths.map((path) => path.slice(1)));
    return new Map([...found].map(([index, xattrs]) => [paths[index] ?? '', xattrs]));
  } finally {
    await engine.close();
  }
}

function namesOf(directory: HeldDirectory, path: string): string[] {
  try {
    return directory.names();
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Opens a directory; skips one that has been replaced meanwhile. */
function enter(directory: HeldDirectory, name: string): HeldDirectory | undefined {
  try {
    return directory.directory(name);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function unreadable(path: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error;
  return new JailbuildError('NOT_READABLE', `${path || '/'}: ${strerror(error)}`, path || '/');
}

/** Returns when the build finished: the time of its record, which it writes last. */
function recordTime(root: HeldDirectory): bigint {
  const state = root.directory(STATE_DIRECTORY);
  try {
    return state.lstat('record.json')?.ctimeNs ?? 0n;
  } finally {
    state.close();
  }
}

/** Returns the differences between a source and its entry, or why they cannot be determined. */
function sourceDifferences(
  entry: Entry,
  realPath: string,
  recorded: RecordedAttributes | undefined,
): readonly Difference[] | string {
  try {
    const stat = lstatSync(toBytes(realPath), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return 'source: is gone';
    return differences(entry, withRecorded(stat, recorded), {
      readTarget: () => readLink(realPath),
    });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return `source: ${strerror(error)}`;
  }
}

function setId(stat: BigIntStats): number {
  return Number(stat.mode & 0o6000n);
}

function expectedSetId(entry: Entry | undefined): number {
  return entry === undefined ? 0 : Number.parseInt(entry.mode, 8) & 0o6000;
}
