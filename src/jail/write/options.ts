import type { BigIntStats } from 'node:fs';
import type { Entry } from '../../manifest/manifest.js';
import type { JailLock, LockOptions } from '../lock.js';
import type { Finding } from '../record/finding.js';
import type { FileReport } from '../report.js';

export interface WriteOptions extends LockOptions {
  /** Real path of the directory that contains the sources; '' for `/`. */
  readonly sourceRoot?: string;
  /**
   * Modification times of sources, by planned path, where they differ from the plan's. A source with another time is
   * refused when it is copied.
   */
  readonly sourceTimes?: ReadonlyMap<string, string>;
  /** Called when all new content is staged and none is in place. An exception ends the build. */
  readonly onStaged?: () => void;
  /**
   * Called for a complete new jail before it appears. An exception ends the build.
   *
   * @param root its path in the stage
   */
  readonly onWhole?: (root: string, files: readonly FileReport[]) => void | Promise<void>;
  /** Keep what already exists in the jail. */
  readonly noClobber?: boolean;
  /** Called for each entry, in the plan's order, when it and all before it are ready or were found in place. */
  readonly onFile?: (report: FileReport) => void;
  /** Called for each entry as soon as it is ready or was found in place. */
  readonly onMade?: (entry: Entry) => void;
  /** Called with a sentence for each deviation of the jail from the plan. */
  readonly onWarning?: (message: string) => void;
  /**
   * Called for each file copied with capabilities that the plan does not name, with all its extended attributes.
   * Precedes a second call of `record`.
   */
  readonly onCapability?: (entry: Entry, xattrs: Readonly<Record<string, string>>) => void;
  /** Fail with NOT_EXACT instead of warning. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where possible. */
  readonly link?: boolean;
  /** Do not wait for writes to reach the disk. */
  readonly noSync?: boolean;
  /** Accept a jail below directories that others may write to. */
  readonly insecureParents?: boolean;
  /** Paths where the jail's own entry stays. */
  readonly keep?: ReadonlySet<string>;
  /** Whether to replace a file that matches the plan in size, time and attributes. */
  readonly isTampered?: (entry: Entry, found: BigIntStats) => boolean;
  /**
   * Returns the paths of files whose extended attributes must be restored, among those that look as planned by lstat(2).
   */
  readonly alteredAmong?: (planned: readonly Finding[]) => Promise<ReadonlySet<string>>;
  /** Directories of an existing jail that get the planned mode and owner. */
  readonly managed?: ReadonlySet<string>;
  /**
   * Paths where either the jail or the plan has a directory and the other does not, and where the jail's entry may be
   * removed with its content.
   */
  readonly typeChanges?: ReadonlySet<string>;
  /**
   * Entries of earlier plans to remove from an existing jail if they exist. For a directory, everything in it must be
   * included.
   */
  readonly removals?: readonly Entry[];
  /**
   * Returns the text of the jail's record in parts, given the findings, or undefined to keep the present one. Called
   * before anything changes; the text is put in place last. While the jail changes it is kept beside the old record as
   * `record.json.new`, so that both states are known after a crash.
   */
  readonly record?: (findings: readonly Finding[]) => Iterable<Buffer> | undefined;
  /** The lock on an existing jail, if the caller holds it. */
  readonly lock?: JailLock;
}
