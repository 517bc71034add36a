/**
 * The writer's instructions, as plain data. The writer decides them; an engine carries them out.
 * All paths but `source` and `like` are relative to the engine's base directory, without `.`, `..` or
 * a slash at either end, and no symbolic link on the way is ever followed.
 */

/** Attributes of an entry in a file system. */
export interface Attributes {
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  /** Absent where the owner is to be whoever runs the build. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Seconds since the epoch, a point, nine digits of nanoseconds. */
  readonly mtime: string;
  /** Extended attributes by full name, their values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Without `xattrs`: what they are copied from, relative to the source root. */
  readonly like?: string;
}

/** Instructions that make an entry of their own; each fails if `path` exists. */
export type CreateOperation =
  /** Makes a directory with mode 0700; `attributes` is given when all that goes into it is there. */
  | { readonly op: 'mkdir'; readonly path: string; readonly mayExist?: boolean }
  /** Copies a regular file, refusing one that differs from what the plan saw. */
  | {
      readonly op: 'copy';
      readonly path: string;
      /** Relative to the source root. */
      readonly source: string;
      /** Bytes. */
      readonly size: number;
      readonly sourceMtime: string;
      readonly attributes: Attributes;
      /** Hard-link the source if possible, ignoring `attributes`. */
      readonly share?: boolean;
      /** Begin to write the copy to the disk, for a `sync` that follows. */
      readonly writeBack?: boolean;
    }
  /** Makes a regular file of given content. */
  | {
      readonly op: 'write';
      readonly path: string;
      readonly content: Buffer;
      readonly attributes: Attributes;
    }
  /** Gives a file below the base another name. */
  | { readonly op: 'link'; readonly path: string; readonly to: string }
  /** Makes a device node or a fifo. Where the rights for it are missing, that is a warning. */
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

/** Instructions on entries that exist. */
export type ChangeOperation =
  | { readonly op: 'attributes'; readonly path: string; readonly attributes: Attributes }
  /** Fails if `to` exists. */
  | { readonly op: 'rename'; readonly path: string; readonly to: string }
  /** Two entries change places; `to` has one of them at every moment. */
  | { readonly op: 'exchange'; readonly path: string; readonly to: string }
  /** Renames, over a file that may be there. */
  | { readonly op: 'replace'; readonly path: string; readonly to: string }
  | { readonly op: 'unlink'; readonly path: string }
  | { readonly op: 'rmdir'; readonly path: string }
  /** Removes a directory if nothing is in it. */
  | { readonly op: 'remove-if-empty'; readonly path: string }
  /** Removes an entry with all that is below it; does nothing if there is none. */
  | { readonly op: 'remove-tree'; readonly path: string }
  /** Removes all that is below a directory. */
  | { readonly op: 'empty'; readonly path: string }
  /**
   * Locks a directory that belongs to this user alone, as long as the engine lives; makes it, with
   * mode 0700, if there is none. Fails with EAGAIN if another process has it, or waits; with EPERM if
   * others own it or may write to it.
   */
  | { readonly op: 'lock'; readonly path: string; readonly wait: boolean }
  /** Returns when all that was written to the file system of the base is on its disk (syncfs(2)). */
  | { readonly op: 'sync' }
  /** Returns when the names in a directory are on the disk (fsync(2)); '' is the base. */
  | { readonly op: 'sync-directory'; readonly path: string };

export type Operation = CreateOperation | ChangeOperation;
