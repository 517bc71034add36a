import { type BigIntStats, closeSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { HeldTree } from '../../fs/held-tree.js';
import type { ContentComparer } from '../../manifest/compare-content.js';
import { isAsPlanned } from '../../manifest/differences.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { isMountPoint, mountPointEntry } from './mount-points.js';
import { entriesOwned, type JailHistory } from './record.js';
import { RECORD_NAME, STATE_DIRECTORY } from './state.js';

/** What happens to files of jailbuild's that the user has changed since. */
export type ChangedPolicy =
  /** Files below /etc are kept, others are replaced. The default. */
  'keep-configuration' | 'keep' | 'replace';

/** Made from other files by ldconfig(8), so not the user's work. */
const DERIVED = new Set(['/etc/ld.so.cache']);

/** What becomes of entries that earlier builds made and that the plan no longer has. */
export interface ObsoleteEntries {
  /** Still as they were made, parents before what they hold: nothing but these is in their directories. */
  readonly removable: readonly Entry[];
  /** Directories that also contain other files. */
  readonly held: readonly Entry[];
  /** What the user has changed, or put in their place. */
  readonly changed: readonly Entry[];
}

/** All entries that builds, also one that was killed, put into a jail, by path. */
export function ownedEntries(history: JailHistory): Map<string, Entry> {
  const { record } = history;
  return new Map([...begunEntries(history), ...(record === undefined ? [] : entriesOwned(record))]);
}

/** Entries that a killed build was about to create, and may have created. */
function begunEntries({ interrupted }: JailHistory): ReadonlyMap<string, Entry> {
  return interrupted === undefined ? new Map() : entriesOwned(interrupted);
}

/** Looks at a jail by lstat(2), and through none of its symbolic links, whatever its processes do. */
export class JailView {
  readonly #tree: HeldTree;
  readonly #owners: boolean;
  readonly #comparer: ContentComparer | undefined;
  readonly #recordedNs: bigint;
  readonly #directories = new Map<string, boolean>([['', true]]);

  /**
   * @param owners whether owners are compared; not where the build could not set them
   * @param comparer undefined to take all content for what its file's attributes say
   */
  constructor(root: string, owners: boolean, comparer?: ContentComparer) {
    this.#tree = new HeldTree(root);
    this.#owners = owners;
    this.#comparer = comparer;
    this.#recordedNs =
      comparer === undefined
        ? 0n
        : (this.lstat(`/${STATE_DIRECTORY}/${RECORD_NAME}`)?.ctimeNs ?? 0n);
  }

  lstat(path: string): BigIntStats | undefined {
    if (!this.#isDirectory(path.slice(0, path.lastIndexOf('/')))) return undefined;
    try {
      return this.#tree.find(path);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      throw new JailbuildError('NOT_READABLE', `${path}: ${strerror(error)}`, path);
    }
  }

  /** Whether an entry is in the jail as a plan has it. Of a directory, only that it is one counts. */
  isAsMade(entry: Entry, found: BigIntStats): boolean {
    if (entry.type === 'directory') return found.isDirectory();
    const owner = this.#owners ? 'planned' : 'any';
    const readTarget = () => this.#tree.targetOf(entry.path);
    return isAsPlanned(entry, found, { owner, readTarget }) && !this.isTampered(entry, found);
  }

  /**
   * Whether a file that looks as planned was given another content since the jail was built. A size, a
   * time of modification and a mode can be set back, the time of change cannot (inode(7)): only what
   * changed after the record was put in place is read.
   */
  isTampered(entry: Entry, found: BigIntStats): boolean {
    if (entry.type !== 'file' || this.#comparer === undefined) return false;
    if (found.ctimeNs <= this.#recordedNs) return false;
    try {
      const fd = this.#tree.open(entry.path);
      try {
        return this.#comparer.compare(fd, entry) === 'different';
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return false;
    }
  }

  /** The names in a directory; undefined if it may not be read. */
  names(path: string): string[] | undefined {
    try {
      return this.#tree.names(path || '/');
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  }

  #isDirectory(path: string): boolean {
    let known = this.#directories.get(path);
    if (known === undefined) {
      known = this.lstat(path)?.isDirectory() ?? false;
      this.#directories.set(path, known);
    }
    return known;
  }
}

/**
 * The paths at which the jail's own is to stay: where the user has changed what a build made and the
 * policy is to keep that, and where it was kept before.
 *
 * @param isUpdate whether what was kept before stays so whatever the policy, short of `replace`
 */
export function pathsToKeep(
  manifest: Manifest,
  history: JailHistory,
  view: JailView,
  policy: ChangedPolicy,
  isUpdate: boolean,
): Set<string> {
  const { record } = history;
  if (policy === 'replace' || record === undefined) return new Set();
  const isKept = (path: string) => isKeptBy(policy, path);
  const own = entriesOwned(record);
  const begun = begunEntries(history);
  const keep = new Set(record.kept.filter((path) => isUpdate || isKept(path)));
  for (const { path, type } of manifest.entries) {
    if (type === 'directory' || !isKept(path)) continue;
    const made = own.get(path);
    const found = made === undefined ? undefined : view.lstat(path);
    if (made === undefined || found === undefined || view.isAsMade(made, found)) continue;
    const next = begun.get(path);
    if (next === undefined || !view.isAsMade(next, found)) keep.add(path);
  }
  return keep;
}

/** Whether a policy keeps a file at a path if the user has changed it. */
export function isKeptBy(policy: ChangedPolicy, path: string): boolean {
  return policy === 'keep' || (policy === 'keep-configuration' && isConfiguration(path));
}

function isConfiguration(path: string): boolean {
  return path.startsWith('/etc/') && !DERIVED.has(path);
}

/** Directories of the plan that builds made, and whose mode and owner are for builds to set. */
export function managedDirectories(manifest: Manifest, history: JailHistory): Set<string> {
  const own = ownedEntries(history);
  const directories = manifest.entries.filter(({ type }) => type === 'directory');
  return new Set(directories.map(({ path }) => path).filter((path) => own.has(path)));
}

/**
 * Paths at which the plan has a directory where a build made something else, or the other way round,
 * if that is still as it was made. A directory must hold nothing but what leaves the jail.
 */
export function findTypeChanges(
  manifest: Manifest,
  history: JailHistory,
  view: JailView,
  { removable }: ObsoleteEntries,
): Set<string> {
  const own = ownedEntries(history);
  const leaving = new Set(removable.map(({ path }) => path));
  const turning = manifest.entries.filter(({ path, type }) => {
    const made = own.get(path);
    if (made === undefined || (made.type === 'directory') === (type === 'directory')) return false;
    const found = view.lstat(path);
    if (found === undefined || !view.isAsMade(made, found)) return false;
    return made.type !== 'directory' || isEmptied(path, view, leaving);
  });
  return new Set(turning.map(({ path }) => path));
}

/**
 * Sorts what earlier builds made and the plan no longer has by what the jail has of it.
 *
 * @param manifest undefined if nothing is to stay
 * @param evenChanged whether what the user has changed is removable too
 * @param mountPoints what runs have made in the jail and is to go too
 */
export function findObsolete(
  manifest: Manifest | undefined,
  history: JailHistory,
  view: JailView,
  evenChanged = false,
  mountPoints: Iterable<string> = [],
): ObsoleteEntries {
  const own = ownedEntries(history);
  for (const path of mountPoints) {
    const found = own.has(path) ? undefined : view.lstat(path);
    if (found !== undefined && isMountPoint(found)) own.set(path, mountPointEntry(path, found));
  }
  const begun = begunEntries(history);
  for (const { path } of manifest?.entries ?? []) own.delete(path);
  const removable: Entry[] = [];
  const held: Entry[] = [];
  const changed: Entry[] = [];
  const leaving = new Set<string>();
  const inwards = [...own.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const entry of inwards.reverse()) {
    const found = view.lstat(entry.path);
    if (found === undefined) continue;
    const isAsMade = [entry, begun.get(entry.path) ?? entry].some((made) =>
      view.isAsMade(made, found),
    );
    const isTakenAnyway = evenChanged && entry.type !== 'directory' && !found.isDirectory();
    if (!isAsMade && !isTakenAnyway) {
      changed.push(entry);
    } else if (entry.type === 'directory' && !isEmptied(entry.path, view, leaving)) {
      held.push(entry);
    } else {
      leaving.add(entry.path);
      removable.push(entry);
    }
  }
  return { removable: removable.reverse(), held: held.reverse(), changed: changed.reverse() };
}

function isEmptied(path: string, view: JailView, leaving: ReadonlySet<string>): boolean {
  const names = view.names(path);
  return names?.every((name) => leaving.has(`${path}/${name}`)) ?? false;
}
