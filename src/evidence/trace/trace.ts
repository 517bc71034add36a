/**
 * A trace: which files a run of some command used, as plain JSON data. docs/trace.md describes every
 * field. Neither times nor process numbers are in it: the same run gives the same bytes.
 */

import type { FileType } from '../../fs/file-view.js';

/** Names the format and its version; a reader refuses one it does not know. */
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
 * What became of the look-up of a path: there before the run and still there; there before and removed
 * by the run; made by the run; not there; or refused to the program.
 */
export const FILE_STATES = ['found', 'removed', 'created', 'denied', 'absent'] as const;
export type FileState = (typeof FILE_STATES)[number];

export interface TracedFile {
  /** Absolute path in the root of the run, as it was looked up: links on the way are kept. */
  readonly path: string;
  readonly state: FileState;
  /** The type of what the path names, of a link itself, at the end of the run. */
  readonly type?: FileType;
  /** What each program did with it, by the program's path; '' for a program that cannot be told. */
  readonly uses: Readonly<Record<string, readonly FileUse[]>>;
}

/** The system that was observed, as os-release(5) and uname(2) describe it. */
export interface TracedSystem {
  readonly id?: string;
  readonly version?: string;
  readonly machine: string;
}

export interface Trace {
  readonly schema: typeof TRACE_SCHEMA;
  readonly system: TracedSystem;
  /** Home directories of the runs: caches below them are no part of a program. */
  readonly homes: readonly string[];
  /** The number of uses that could not be read or noted. */
  readonly incomplete: number;
  /** Sorted by the bytes of `path`. */
  readonly files: readonly TracedFile[];
}
