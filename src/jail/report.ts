import type { Entry } from '../manifest/manifest.js';

/** How an entry of the plan fared. */
export type FileStatus = 'ok' | 'skipped' | 'failed';

/** What the writer did about it. */
export type FileAction = 'created' | 'replaced' | 'unchanged' | 'kept' | 'none';

/** The writer's word on one entry, given as it is done. */
export interface FileReport {
  /** The path inside the jail. */
  readonly path: string;
  readonly type: Entry['type'];
  readonly status: FileStatus;
  readonly action: FileAction;
  /** For what was skipped or failed. */
  readonly reason?: string;
}
