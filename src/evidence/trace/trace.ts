/**
 * A trace: the files that a run of a command used, as plain JSON data. docs/trace.md describes
 * every field. It contains neither times nor process numbers: the same run gives the same bytes.
 */

import type { FileType } from '../../fs/file-view.js';

/** Names the format and its version; readers refuse versions that they do not know. */
export const TRACE_SCHEMA = 'jailbuild.trace/1';

/** What a program did with a file, as the observer reports it. */
export const FILE_USES = [
  'execute',
  'open',
  'write',
  'overwrite',
  'list',
  'readlink',
  'access',
  'stat',
  'chdir',
  'watch',
  'change',
  'make',
  'link',
  'rename',
  'remove',
  'mount',
  'connect',
  'bind',
  'hold',
] as const;
export type FileUse = (typeof FILE_USES)[number];

/**
 * The result of looking up a path: existed before the run and still exists; existed before and was
 * removed by the run; created by the run; access was denied; does not exist.
 */
export const FILE_STATES = ['found', 'removed', 'created', 'denied', 'absent'] as const;
export type FileState = (typeof FILE_STATES)[number];

export interface TracedFile {
  /** Absolute path in the root of the run, as it was looked up: links on the way are kept. */
  readonly path: string;
  readonly state: FileState;
  /** The type at the end of the run, of a link itself. */
  readonly type?: FileType;
  /** Each program's uses of the file, by the program's path; '' if the program is unknown. */
  readonly uses: Readonly<Record<string, readonly FileUse[]>>;
}

/** The observed system, as os-release(5) and uname(2) describe it. */
export interface TracedSystem {
  readonly id?: string;
  readonly version?: string;
  readonly machine: string;
}

export interface Trace {
  readonly schema: typeof TRACE_SCHEMA;
  readonly system: TracedSystem;
  /** Home directories of the runs. Caches below them do not belong to a program. */
  readonly homes: readonly string[];
  /** The number of uses that could not be read or recorded. */
  readonly incomplete: number;
  /** Sorted by the bytes of `path`. */
  readonly files: readonly TracedFile[];
}
