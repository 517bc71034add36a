/**
 * The writer's operations as plain data: the writer decides, an engine carries out. All paths but `source` and `like`
 * are relative to the engine's base directory, without `.`, `..` or a slash at either end. No symbolic link on the way
 * is ever followed.
 */

/** The time at which an operation sets it: UTIME_NOW in place of nanoseconds (utimensat(2)). */
export const NOW = '0.1073741823';

/** Attributes of an entry in a file system. */
export interface Attributes {
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  /** Absent if the user who runs the build becomes the owner. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Seconds since the epoch with nine decimal places, or {@link NOW}. */
  readonly mtime: string;
  /** Extended attributes by full name, their values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Without `xattrs`: the file they are copied from, relative to the source root. */
  readonly like?: string;
}

/** Operations that create an entry; each fails if `path` exists. */
export type CreateOperation =
  /** Makes a directory with mode 0700; its attributes are set after its content is written. */
  | { readonly op: 'mkdir'; readonly path: string; readonly mayExist?: boolean }
  /** Copies a regular file, refusing one that differs from the plan. */
  | {
      readonly op: 'copy';
      readonly path: string;
      /** Relative to the source root. */
      readonly source: string;
      /** Size in bytes. */
      readonly size: number;
      readonly sourceMtime: string;
      readonly attributes: Attributes;
      /** Hard-link the source if possible, ignoring `attributes`. */
      readonly share?: boolean;
      /** Start writing the copy to disk, for a later `sync`. */
      readonly writeBack?: boolean;
    }
  /** Makes a regular file with given content. */
  | {
      readonly op: 'write';
      readonly path: string;
      /** Parts are written one after the other. */
      readonly content: Buffer | readonly Buffer[];
      readonly attributes: Attributes;
    }
  /** Hard-links a file below the base. */
  | { readonly op: 'link'; readonly path: string; readonly to: string }
  /** Makes a device node or a fifo. Missing privileges cause a warning, not a failure. */
  | {
      readonly op: 'node';
      readonly path: string;
      readonly type: 'character-device' | 'block-device' | 'fifo';
      /** 0 for a fifo. */
      readonly major: number;
      readonly minor: number;
      readonly attributes: Attributes;
    }
  | {
      readonly op: 'symlink';
      readonly path: string;
      readonly target: string;
      readonly attributes: Attributes;
    };

/** Operations on existing entries. */
export type ChangeOperation =
  | { readonly op: 'attributes'; readonly path: string; readonly attributes: Attributes }
  /** Fails if `to` exists. */
  | { readonly op: 'rename'; readonly path: string; readonly to: string }
  /** Exchanges two entries atomically: `to` always exists. */
  | { readonly op: 'exchange'; readonly path: string; readonly to: string }
  /** Renames over an existing file, if any. */
  | { readonly op: 'replace'; readonly path: string; readonly to: string }
  | { readonly op: 'unlink'; readonly path: string }
  | { readonly op: 'rmdir'; readonly path: string }
  /** Removes a directory if it is empty. */
  | { readonly op: 'remove-if-empty'; readonly path: string }
  /** Removes an entry and everything below it; does nothing if it does not exist. */
  | { readonly op: 'remove-tree'; readonly path: string }
  /** Removes everything below a directory. */
  | { readonly op: 'empty'; readonly path: string }
  /**
   * Locks a directory owned by this user alone for the engine's lifetime; creates it with mode 0700 if missing. If
   * another process holds the lock, waits or fails with EAGAIN; fails with ENOTDIR if others own the directory or may
   * write to it.
   */
  | { readonly op: 'lock'; readonly path: string; readonly wait: boolean }
  /** Waits until everything written to the base's file system is on disk (syncfs(2)). */
  | { readonly op: 'sync' }
  /** Waits until the names in a directory are on disk (fsync(2)); '' is the base. */
  | { readonly op: 'sync-directory'; readonly path: string };

export type Operation = CreateOperation | ChangeOperation;
