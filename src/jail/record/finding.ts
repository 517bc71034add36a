import type { BigIntStats } from 'node:fs';
import type { Entry } from '../../manifest/manifest.js';

/** What is to be done about an entry: the plan compared with what the jail has. */
export interface Finding {
  readonly entry: Entry;
  /** `repair` is for a directory whose mode or owner is not as planned. */
  readonly need: 'create' | 'replace' | 'repair' | 'nothing';
  /** For `nothing`: whether the jail's own is as planned, or is the user's and kept. */
  readonly as?: 'planned' | 'kept';
  /** For `replace`: true if the file differs from the plan in extended attributes alone. */
  readonly isAltered?: boolean;
  /** For `repair`: what the directory has; for `planned`: what the file has. */
  readonly found?: BigIntStats;
}
