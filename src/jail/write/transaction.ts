import { type ErrorCode, errnoText, JailbuildError } from '../../errors.js';
import {
  type AttributeWarning,
  type Engine,
  type LazyList,
  OperationError,
  type RunOptions,
} from '../engine/engine.js';
import type { Operation } from '../engine/operations.js';

/** An operation with the data that a transaction needs. */
export interface Step {
  readonly operation: Operation;
  /** Operations that undo it, in order. */
  readonly undo?: Operation | readonly Operation[];
  /** Path named in error messages. */
  readonly subject: string;
}

/** Steps in order. */
export interface StepList extends LazyList<Step> {
  /** Returns what undoes a step, without making the step. */
  undoOf(index: number): Step['undo'];
}

export type StepOptions = Omit<RunOptions, 'onWarning'>;

/** Carries out steps so that all of them can be undone. */
export class Transaction {
  readonly #engine: Engine;
  readonly #onWarning: (step: Step, warning: AttributeWarning) => void;
  readonly #undo: (readonly Operation[])[] = [];

  /** @param onWarning an exception from it ends the run */
  constructor(engine: Engine, onWarning: (step: Step, warning: AttributeWarning) => void) {
    this.#engine = engine;
    this.#onWarning = onWarning;
  }

  /**
   * @throws JailbuildError WRITE_FAILED, NOT_READABLE, SOURCE_CHANGED, naming the file
   * @throws the signal's reason
   */
  async run(steps: readonly Step[] | StepList, options: StepOptions = {}): Promise<void> {
    const operations = {
      length: steps.length,
      at: (index: number) => steps.at(index)?.operation,
    };
    const undoOf = (index: number) =>
      'undoOf' in steps ? steps.undoOf(index) : steps.at(index)?.undo;
    try {
      await this.#engine.run(operations, {
        ...options,
        onDone: (index) => {
          const undo = undoOf(index);
          if (undo !== undefined) this.#undo.push('op' in undo ? [undo] : undo);
          options.onDone?.(index);
        },
        onWarning: (index, warning) => {
          const step = steps.at(index);
          if (step !== undefined) this.#onWarning(step, warning);
        },
      });
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      const step = steps.at(error.index);
      throw step === undefined ? error : describe(error, step);
    }
  }

  /**
   * Undoes completed steps in reverse order as far as possible. Returns the error to throw: the cause, with a note on
   * anything that could not be undone.
   */
  async rollBack(cause: unknown): Promise<unknown> {
    let failed: unknown;
    for (const operation of this.#undo.splice(0).reverse().flat()) {
      try {
        await this.#engine.run([operation]);
      } catch (error) {
        if (!(error instanceof OperationError)) throw error;
        failed ??= error;
      }
    }
    if (failed === undefined) return cause;
    const notAll = (code: ErrorCode, what: string, path?: string): JailbuildError =>
      new JailbuildError(
        code,
        `${what}; some changes could not be undone; the next build repairs them`,
        path,
        { cause: failed },
      );
    if (cause instanceof JailbuildError) return notAll(cause.code, cause.message, cause.path);
    const isAbort = cause instanceof Error && cause.name === 'AbortError';
    return isAbort ? notAll('WRITE_FAILED', 'ended by a signal') : cause;
  }
}

/**
 * Waits for the disk after a commit, when nothing can be undone any more.
 *
 * @param target the jail
 * @throws JailbuildError SYNC_FAILED saying that the jail is in place
 */
export async function afterCommit(
  engine: Engine,
  operations: readonly Operation[],
  target: string,
): Promise<void> {
  try {
    await engine.run(operations, { ordered: true });
  } catch (error) {
    if (!(error instanceof OperationError) && !(error instanceof JailbuildError)) throw error;
    const reason = error instanceof OperationError ? errnoText(error.errno) : error.message;
    throw new JailbuildError(
      'SYNC_FAILED',
      `${target}: is built, but the disk did not confirm the writes, so it may not survive a crash: ${reason}; check the disk, then run sync and jailbuild check`,
      target,
      { cause: error },
    );
  }
}

function describe(error: OperationError, { operation, subject }: Step): JailbuildError {
  const reason = errnoText(error.errno);
  const source = operation.op === 'copy' ? `/${operation.source}` : subject;
  switch (error.side) {
    case 'source':
      return new JailbuildError('NOT_READABLE', `${source}: ${reason}`, source);
    case 'changed':
      return new JailbuildError('SOURCE_CHANGED', `${source}: changed during the build`, source);
    case 'jail':
      return new JailbuildError('WRITE_FAILED', `${subject}: ${reason}`, subject);
  }
}
