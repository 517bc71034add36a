import { type BigIntStats, closeSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { HeldDirectory } from '../../fs/dir-handle.js';
import type { ContentComparer } from '../../manifest/compare-content.js';
import { describeDifference, differences, octal } from '../../manifest/differences.js';
import { typeOf } from '../../manifest/entry-type.js';
import type { Entry, FileEntry } from '../../manifest/manifest.js';
import { isMountPoint } from '../record/mount-points.js';
import type { JailRecord } from '../record/record.js';
import { STATE_DIRECTORY } from '../record/state.js';
import type { ReportFinding } from './finding.js';
import { SystemDirectories } from './system-directories.js';

/**
 * Walks through a jail and compares each entry with its record. Follows no symbolic link and does not enter mounts.
 */
export class JailWalk {
  /** Files whose content could not be compared. */
  readonly unknown: string[] = [];
  /** Planned paths that exist with the planned type. */
  readonly present = new Set<string>();
  /** Regular files of the jail, whatever made them. */
  readonly files: string[] = [];
  readonly #record: JailRecord;
  readonly #report: ReportFinding;
  readonly #comparer: ContentComparer | undefined;
  readonly #system: SystemDirectories;
  /** Planned entries by path, and their names by directory. */
  readonly #planned = new Map<string, Entry>();
  readonly #names = new Map<string, string[]>();
  readonly #found: ReadonlySet<string>;
  readonly #kept: ReadonlySet<string>;
  readonly #former: ReadonlySet<string>;
  readonly #mountPoints: ReadonlySet<string>;
  /** Existing paths, and those below missing directories. */
  readonly #seen = new Set<string>();
  /** Results by device and inode, so that hard links are compared once. */
  readonly #contents = new Map<string, string>();
  #device = 0n;
  #builtNs = 0n;

  constructor(
    record: JailRecord,
    mountPoints: ReadonlySet<string>,
    comparer: ContentComparer | undefined,
    report: ReportFinding,
  ) {
    this.#record = record;
    this.#report = report;
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

  /** @throws JailbuildError NOT_READABLE */
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
    if (stat.isFile() && stat.dev === this.#device) this.files.push(path);
    const entry = this.#planned.get(path);
    if (entry !== undefined) this.#compare(entry, stat, directory, name);
    else if (!this.#former.has(path) && !this.#isOfRun(path, stat)) this.#checkForeign(path, stat);
    if (stat.isFile() && setId(stat) !== 0 && setId(stat) !== expectedSetId(entry)) {
      this.#report('set-id', path, [`mode ${octal(Number(stat.mode & 0o7777n))}`]);
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
    if (isOfType) this.present.add(path);
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
    if (details.length > 0) this.#report('changed', path, details);
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
    if (isDevice || this.#system.mayNotHold(path)) this.#report('foreign', path, [type]);
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
    if (details.length > 0) this.#report('writable', path === '' ? '/' : path, details);
  }

  #missBelow(path: string): void {
    for (const name of this.#names.get(path) ?? []) this.#miss(`${path}/${name}`);
  }

  #miss(path: string): void {
    this.#seen.add(path);
    this.#report('missing', path, []);
    this.#missBelow(path);
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

function setId(stat: BigIntStats): number {
  return Number(stat.mode & 0o6000n);
}

function expectedSetId(entry: Entry | undefined): number {
  return entry === undefined ? 0 : Number.parseInt(entry.mode, 8) & 0o6000;
}
