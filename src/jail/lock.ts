import { errnoText, JailbuildError } from '../errors.js';
import { type Engine, OperationError } from './engine/engine.js';
import { type OpenEngine, openEngine } from './engine/open.js';
import { STATE_DIRECTORY } from './record/state.js';
import { locateTarget } from './target.js';

export interface LockOptions {
  /** Wait while another process holds the lock, instead of failing. */
  readonly wait?: boolean;
  /** Called once before waiting. */
  readonly onWait?: () => void;
  readonly signal?: AbortSignal | undefined;
  /** Opens the engine that carries out changes [default: the native engine if available] */
  readonly openEngine?: OpenEngine;
}

/** The exclusive right to change an existing jail. Ends with the process that holds it. */
export interface JailLock {
  /** Real path of the jail. */
  readonly path: string;
  /** Works in the jail while the lock is held. */
  readonly engine: Engine;
  release(): Promise<void>;
}

/**
 * Locks an existing jail, for callers that read its record and then write: pass the lock to `writeJail`, which
 * otherwise takes its own.
 *
 * @param sourceRoot the real path that the sources of a write are in; '' for `/`
 * @throws JailbuildError TARGET_BUSY, TARGET_INSECURE, TARGET_NOT_A_DIRECTORY, WRITE_FAILED
 */
export async function lockJail(
  target: string,
  options: LockOptions & { readonly sourceRoot?: string } = {},
): Promise<JailLock> {
  const { path, existing } = locateTarget(target);
  if (path !== existing) {
    throw new JailbuildError('TARGET_NOT_A_DIRECTORY', `${target}: is not a directory`, target);
  }
  const engine = await (options.openEngine ?? openEngine)(path, options.sourceRoot || '/');
  try {
    await acquire(engine, STATE_DIRECTORY, target, options);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return {
    path,
    engine,
    async release() {
      // A jail without a record needs no state directory.
      await engine.run([{ op: 'remove-if-empty', path: STATE_DIRECTORY }]).catch(() => {});
      await engine.close();
    },
  };
}

/**
 * Locks a directory relative to the engine's base.
 *
 * @param target the jail's path for messages
 */
export async function acquire(
  engine: Engine,
  directory: string,
  target: string,
  { wait = false, onWait = () => {}, signal }: LockOptions,
): Promise<void> {
  const attempt = async (waiting: boolean): Promise<string | undefined> => {
    try {
      await engine.run([{ op: 'lock', path: directory, wait: waiting }], { signal });
      return undefined;
    } catch (error) {
      if (error instanceof OperationError) return error.errno;
      throw error;
    }
  };
  let failure = await attempt(false);
  if (failure === 'EAGAIN' && wait) {
    onWait();
    failure = await attempt(true);
    signal?.throwIfAborted();
  }
  if (failure === undefined) return;
  if (failure === 'EAGAIN') {
    throw new JailbuildError(
      'TARGET_BUSY',
      `${target}: another build is running there: use --wait to wait for it`,
      target,
    );
  }
  if (failure === 'ENOTDIR' || failure === 'ELOOP') {
    throw new JailbuildError(
      'TARGET_INSECURE',
      `${target}: ${directory} exists but is not a directory that only you own and can write to: remove it`,
      target,
    );
  }
  throw new JailbuildError('WRITE_FAILED', `${target}: ${errnoText(failure)}`, target);
}
