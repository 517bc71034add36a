import type { Manifest } from '../plan/manifest.js';
import { writeExistingJail } from './existing-jail.js';
import type { JailLock, LockOptions } from './lock.js';
import { writeNewJail } from './new-jail.js';
import type { FileReport } from './report.js';
import { refuseInsecure } from './parents.js';
import { locateTarget } from './target.js';

export interface WriteOptions extends LockOptions {
  /** The real path that the sources are in; '' for `/`. */
  readonly sourceRoot?: string;
  /** Leave what the jail has already. */
  readonly noClobber?: boolean;
  /** Called for each entry as its new content is ready, or is found to be there. */
  readonly onFile?: (report: FileReport) => void;
  /** Called with a sentence about what the jail has not as the plan says. */
  readonly onWarning?: (message: string) => void;
  /** Fail, with NOT_EXACT, in the place of a warning. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where that is possible. */
  readonly link?: boolean;
  /** Do not wait until what is written is on the disk. */
  readonly noSync?: boolean;
  /** Accept a jail below directories that others may write to. */
  readonly insecureParents?: boolean;
  /**
   * Paths that the jail is to have no more, none of them in the plan. Directories go only when they
   * are empty; what is not there is no error.
   */
  readonly removals?: readonly string[];
  /** A file for the jail's state directory, put there, for its owner alone, as the last change of all. */
  readonly record?: StateFile;
  /** The lock on the jail, if it exists and the caller has it. */
  readonly lock?: JailLock;
}

/**
 * A file of the jail's state. While the jail changes it lies there as `NAME.new`, so that after a
 * crash in between both what was and what was to be are known; the next write removes that one.
 */
export interface StateFile {
  readonly name: string;
  /** The text, or what makes it when all new content is staged and nothing has been changed yet. */
  readonly content: string | ((reports: readonly FileReport[]) => string);
}

/**
 * Makes the jail what the plan says. A new jail appears whole, by one rename(2). In an existing one
 * all new content is staged before the first file is replaced, each by a rename, and what the plan
 * does not name stays. On failure everything is as it was.
 *
 * @param target the jail's directory, checked by `checkTarget`; missing parents are made
 * @returns one report an entry, in the plan's order
 * @throws JailbuildError CONFLICT, SOURCE_CHANGED, NOT_READABLE, WRITE_FAILED, NOT_EXACT,
 *   TARGET_NOT_A_DIRECTORY, TARGET_INSECURE, TARGET_BUSY
 * @throws the signal's reason
 */
export async function writeJail(
  manifest: Manifest,
  target: string,
  options: WriteOptions = {},
): Promise<FileReport[]> {
  for (;;) {
    const where = locateTarget(target);
    if (!options.insecureParents) refuseInsecure(where, target);
    if (where.existing === where.path) return writeExistingJail(manifest, where.path, options);
    const reports = await writeNewJail(manifest, where, options);
    // Nothing, if another build made the jail meanwhile.
    if (reports !== undefined) return reports;
  }
}
