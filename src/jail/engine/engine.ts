import type { Operation } from './operations.js';

/** Items that are made when they are asked for, so that a long list of them is never in memory. */
export interface LazyList<T> {
  readonly length: number;
  at(index: number): T | undefined;
}

/** Carries out write operations below one directory. */
export interface Engine {
  /** One sentence for the user on what this engine cannot preserve; undefined if it preserves everything. */
  readonly shortcoming: string | undefined;

  /**
   * Carries out operations. Operations of one call must not depend on their order unless they are `ordered`; the first
   * failure ends the run.
   *
   * @throws OperationError for the first operation that failed; unless `ordered`, later ones may have been done too
   * @throws the signal's reason, between two operations
   */
  run(operations: readonly Operation[] | LazyList<Operation>, options?: RunOptions): Promise<void>;

  /** Releases locks and everything else that the engine holds. */
  close(): Promise<void>;
}

export interface RunOptions {
  /**
   * Whether each operation, or each whose index this returns true for, begins after all earlier ones are done and ends
   * before later ones begin.
   */
  readonly ordered?: boolean | ((index: number) => boolean);
  /** Called with the index of each completed operation. */
  readonly onDone?: (index: number) => void;
  /** Called with attributes that an otherwise successful operation could not preserve. */
  readonly onWarning?: (index: number, warning: AttributeWarning) => void;
  /** Called for each source copied with file capabilities, with all its extended attributes, in base64 by name. */
  readonly onCapability?: (index: number, xattrs: Readonly<Record<string, string>>) => void;
  readonly signal?: AbortSignal | undefined;
  /** Whether the caller works in turns meanwhile, which waiting for replies must not hold up. */
  readonly isAside?: boolean;
}

/** An attribute that the file system or missing privileges did not allow. */
export interface AttributeWarning {
  /** `owner`, `mode`, `mtime`, `node` (the entry is not made at all), or the name of an extended attribute. */
  readonly attribute: string;
  /** Name of the errno. */
  readonly errno: string;
}

/** A failed operation. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  /** Index of the operation in the list. */
  readonly index: number;
  /** Where the failure lies: reading the source, writing the jail, or a source that differs from the plan. */
  readonly side: 'source' | 'jail' | 'changed';
  /** Name of the errno. */
  readonly errno: string;

  constructor(index: number, side: OperationError['side'], errno: string) {
    super(`${side}: ${errno}`);
    this.index = index;
    this.side = side;
    this.errno = errno;
  }
}
