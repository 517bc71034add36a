import type { Entry } from '../manifest/manifest.js';

/** Result for one entry of the plan. */
export type FileStatus = 'ok' | 'skipped' | 'failed';

/** What the writer did to the entry. */
export type FileAction = 'created' | 'replaced' | 'unchanged' | 'kept' | 'none';

/** Report on one entry, made when it is done. */
export interface FileReport {
  /** Path inside the jail. */
  readonly path: string;
  readonly type: Entry['type'];
  readonly status: FileStatus;
  readonly action: FileAction;
  /** Why an entry was skipped or failed. */
  readonly reason?: string;
}
