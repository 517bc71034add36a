import type { BigIntStats } from 'node:fs';
import type { Entry } from '../../manifest/manifest.js';

/** What to do about an entry, given the plan and the jail. */
export interface Finding {
  readonly entry: Entry;
  /** `repair` sets the mode or owner of a directory. */
  readonly need: 'create' | 'replace' | 'repair' | 'nothing';
  /** For `nothing`: whether the jail's entry is as planned, or is the user's and kept. */
  readonly as?: 'planned' | 'kept';
  /** For `replace`: true if the file differs from the plan only in extended attributes. */
  readonly isAltered?: boolean;
  /** Current attributes: for `repair` of the directory, for `planned` of the file. */
  readonly found?: BigIntStats;
}
