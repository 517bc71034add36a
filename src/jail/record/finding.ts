import type { BigIntStats } from 'node:fs';
import type { Entry } from '../../manifest/manifest.js';

/** What is to be done about an entry: the plan compared with what the jail has. */
export interface Finding {
  readonly entry: Entry;
  /** `repair` is for a directory whose mode or owner is not as planned. */
  readonly need: 'create' | 'replace' | 'repair' | 'nothing';
  /** For `nothing`: whether the jail's own is as planned, or is the user's and kept. */
  readonly as?: 'planned' | 'kept';
  /** For `repair`: what the directory has. */
  readonly found?: BigIntStats;
}
