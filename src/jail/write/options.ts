import type { BigIntStats } from 'node:fs';
import type { Entry } from '../../manifest/manifest.js';
import type { JailLock, LockOptions } from '../lock.js';
import type { Finding } from '../record/finding.js';
import type { FileReport } from '../report.js';

export interface WriteOptions extends LockOptions {
  /** The real path that the sources are in; '' for `/`. */
  readonly sourceRoot?: string;
  /**
   * Modification times of sources, by path of the plan, where they are not those that the plan has: a
   * source is refused that has another one when it is copied.
   */
  readonly sourceTimes?: ReadonlyMap<string, string>;
  /** Called when all new content is ready and none is in place. What it throws ends the build. */
  readonly onStaged?: () => void;
  /**
   * Called for a new jail when it has all its files and has not appeared yet. What it throws ends the
   * build.
   *
   * @param root where it is until then
   */
  readonly onWhole?: (root: string, files: readonly FileReport[]) => void | Promise<void>;
  /** Leave what the jail has already. */
  readonly noClobber?: boolean;
  /** Called for each entry as its new content is ready, or is found to be there. */
  readonly onFile?: (report: FileReport) => void;
  /** Called with a sentence for each deviation of the jail from the plan. */
  readonly onWarning?: (message: string) => void;
  /**
   * Called for each file that was copied with capabilities that the plan does not name, with all of its
   * extended attributes, before `record`, which is then called again.
   */
  readonly onCapability?: (entry: Entry, xattrs: Readonly<Record<string, string>>) => void;
  /** Fail with NOT_EXACT instead of warning. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where that is possible. */
  readonly link?: boolean;
  /** Do not wait until what is written is on the disk. */
  readonly noSync?: boolean;
  /** Accept a jail below directories that others may write to. */
  readonly insecureParents?: boolean;
  /** Leave what the jail has at these paths. */
  readonly keep?: ReadonlySet<string>;
  /** Whether to replace a file of the jail that has the plan's size, time and attributes. */
  readonly isTampered?: (entry: Entry, found: BigIntStats) => boolean;
  /**
   * The paths of files whose extended attributes are to be made anew, among those that look as planned
   * by lstat(2).
   */
  readonly alteredAmong?: (planned: readonly Finding[]) => Promise<ReadonlySet<string>>;
  /** Directories of an existing jail that get the mode and owner of the plan. */
  readonly managed?: ReadonlySet<string>;
  /**
   * Paths at which the jail has a directory and the plan has not, or the other way round, and what is
   * there may go, with all that is in it.
   */
  readonly typeChanges?: ReadonlySet<string>;
  /**
   * Entries of earlier plans to take out of an existing jail, as far as they are there. Of a
   * directory, all that is in it must be among them.
   */
  readonly removals?: readonly Entry[];
  /**
   * The text of the jail's record, given what was found, or undefined if it is to stay as it is.
   * Called before anything is changed; put in place as the last step. While the jail changes it lies
   * beside the old one as `record.json.new`, so that after a crash in between both what was and what
   * was to be are known.
   */
  readonly record?: (findings: readonly Finding[]) => string | undefined;
  /** The lock on the jail, if it exists and the caller has it. */
  readonly lock?: JailLock;
}
