import type { Operation } from './operations.js';

/** Carries out the writer's instructions below one directory. */
export interface Engine {
  /** What this engine cannot keep, for one sentence to the user; undefined if it keeps all. */
  readonly shortcoming: string | undefined;

  /**
   * Carries out operations. Those of one call must not depend on one another's order unless they are
   * `ordered`; the first failure ends the run.
   *
   * @throws OperationError for the first operation that failed; those after it may have been done too
   *   unless they are `ordered`
   * @throws the signal's reason, between two operations
   */
  run(operations: readonly Operation[], options?: RunOptions): Promise<void>;

  /** Releases locks and everything else that the engine holds. */
  close(): Promise<void>;
}

export interface RunOptions {
  /**
   * Whether operations, or those whose index it is true for, begin when all before them are done, and
   * those after them when they are.
   */
  readonly ordered?: boolean | ((index: number) => boolean);
  /** Called with the index of each operation as it is done. */
  readonly onDone?: (index: number) => void;
  /** Called with what an otherwise successful operation could not preserve. */
  readonly onWarning?: (index: number, warning: AttributeWarning) => void;
  /**
   * Called for a source that was copied with file capabilities: all of its extended attributes, in base64
   * by name.
   */
  readonly onCapability?: (index: number, xattrs: Readonly<Record<string, string>>) => void;
  readonly signal?: AbortSignal | undefined;
  /** Whether the caller works in turns meanwhile, which waiting for replies must not hold up. */
  readonly isAside?: boolean;
}

/** Something about an entry that the file system or the rights do not allow. */
export interface AttributeWarning {
  /** `owner`, `mode`, `mtime`, `node` (the entry is not made at all), or an extended attribute's name. */
  readonly attribute: string;
  /** The errno's name. */
  readonly errno: string;
}

/** Why an operation failed. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  /** The operation's place in the list. */
  readonly index: number;
  /** Whether the file copied from or the jail is concerned, or the source is not what was planned. */
  readonly side: 'source' | 'jail' | 'changed';
  /** The errno's name. */
  readonly errno: string;

  constructor(index: number, side: OperationError['side'], errno: string) {
    super(`${side}: ${errno}`);
    this.index = index;
    this.side = side;
    this.errno = errno;
  }
}
