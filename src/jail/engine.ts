import type { Operation } from './operations.js';

/** Carries out the writer's instructions. */
export interface Engine {
  /**
   * Carries out operations. Those of one call must not depend on one another's order unless
   * `ordered` is set; then they run one after the other and the first failure ends the run.
   *
   * @param onDone called with the index of each operation as it is done
   * @throws OperationError for the first operation that failed; those after it may have been done too
   *   unless `ordered` is set
   * @throws the signal's reason, between two operations
   */
  run(operations: readonly Operation[], options?: RunOptions): Promise<void>;
}

export interface RunOptions {
  readonly ordered?: boolean;
  readonly onDone?: (index: number) => void;
  readonly signal?: AbortSignal | undefined;
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
