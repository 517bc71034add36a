import type { BigIntStats } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { HeldTree } from '../../fs/held-tree.js';
import { type Expectation, isAsPlanned } from '../../manifest/differences.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { Finding } from '../record/finding.js';

export interface SurveyOptions {
  /** Keep whatever exists. */
  readonly noClobber: boolean;
  /** Paths where existing entries stay. */
  readonly keep?: ReadonlySet<string> | undefined;
  /** Whether the content of a file changed although its size, time and attributes are as planned. */
  readonly isTampered?: ((entry: Entry, found: BigIntStats) => boolean) | undefined;
  /** Directories that get the planned mode and owner. Other directories keep theirs. */
  readonly managed?: ReadonlySet<string> | undefined;
  /** Paths at which a directory may replace another type, or the reverse. */
  readonly typeChanges?: ReadonlySet<string> | undefined;
  /** Whether to compare owners, which some builds cannot set. */
  readonly owners: boolean;
}

/**
 * Compares the plan with the jail, one lstat(2) for each entry. Follows no symbolic links: entries below one count as
 * absent, and a planned directory in its place is a conflict.
 *
 * @throws JailbuildError CONFLICT if only one of plan and jail has a directory at a path
 * @throws JailbuildError WRITE_FAILED if the jail cannot be read
 */
export function survey(
  manifest: Manifest,
  target: string,
  { noClobber, keep, isTampered, managed, typeChanges, owners }: SurveyOptions,
): Finding[] {
  const tree = new HeldTree(target);
  const absent = new Set<string>();
  const originals = new Map<string, { readonly finding: Finding; readonly found?: BigIntStats }>();
  return manifest.entries.map((entry): Finding => {
    const parent = entry.path.slice(0, entry.path.lastIndexOf('/'));
    const found = absent.has(parent) ? undefined : look(tree, target, entry.path);
    if (found === undefined) {
      if (entry.type === 'directory') absent.add(entry.path);
      const finding = { entry, need: 'create' } as const;
      originals.set(entry.path, { finding });
      return finding;
    }
    if ((entry.type === 'directory') !== found.isDirectory()) {
      if (!typeChanges?.has(entry.path)) throw conflict(entry, target, found);
      if (entry.type === 'directory') absent.add(entry.path);
      const finding = { entry, need: 'replace' } as const;
      originals.set(entry.path, { finding });
      return finding;
    }
    if (entry.type === 'directory') {
      return !managed?.has(entry.path) || isAsPlanned(entry, found, expectationOf(entry))
        ? { entry, need: 'nothing', as: 'planned' }
        : { entry, need: 'repair', found };
    }
    const isPlanned =
      isAsPlanned(entry, found, expectationOf(entry)) &&
      isSameFile(entry, found) &&
      !isTampered?.(entry, found);
    const finding: Finding = isPlanned
      ? { entry, need: 'nothing', as: 'planned', found }
      : noClobber || keep?.has(entry.path)
        ? { entry, need: 'nothing', as: 'kept' }
        : { entry, need: 'replace' };
    originals.set(entry.path, { finding, found });
    return finding;
  });

  function expectationOf({ path }: Entry): Expectation {
    const readTarget = () => tree.targetOf(path);
    return { owner: owners ? 'planned' : 'any', readTarget };
  }

  /** Returns whether a planned hard link shares its inode with the original that the jail has and keeps. */
  function isSameFile(entry: Entry, found: BigIntStats): boolean {
    if (entry.type !== 'file' || entry.hardlink === undefined) return true;
    const original = originals.get(entry.hardlink);
    if (original === undefined || original.finding.as === 'kept') return true;
    return (
      original.finding.need === 'nothing' &&
      original.found?.ino === found.ino &&
      original.found.dev === found.dev
    );
  }
}

/**
 * Returns the attributes at a path of the jail, or undefined if nothing exists there.
 * @throws JailbuildError WRITE_FAILED
 */
export function look(tree: HeldTree, target: string, path: string): BigIntStats | undefined {
  try {
    return tree.find(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    const at = target + path;
    throw new JailbuildError('WRITE_FAILED', `${at}: ${strerror(error)}`, at);
  }
}

function conflict({ path, type }: Entry, target: string, found: BigIntStats): JailbuildError {
  const has = found.isDirectory()
    ? 'a directory'
    : found.isSymbolicLink()
      ? 'a symbolic link'
      : 'not a directory';
  return new JailbuildError(
    'CONFLICT',
    `${target}${path}: is ${has} in the jail, but the plan has a ${type.replace('-', ' ')}`,
    path,
  );
}
