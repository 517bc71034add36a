import { getSystemErrorName } from 'node:util';
import { JailbuildError } from '../../errors.js';
import type { Extent } from '../../fs/sparse-files.js';
import { type Connect, type Connection, NotConnected } from './connection.js';
import { type Engine, type LazyList, OperationError, type RunOptions } from './engine.js';
import type { Operation } from './operations.js';
import {
  type BlockCheck,
  beginRequest,
  checkRequest,
  extentsRequest,
  type Output,
  type Placement,
  parseExtents,
  parseXattrs,
  placeRequest,
  type Reply,
  ReplyKind,
  ReplyReader,
  runRequest,
  stopRequest,
  surveyRequest,
  xattrsRequest,
} from './protocol.js';

/** Number of unordered operations per request. */
const CHUNK = 256;
/** Number of blocks checked per request. */
const CHECKED = 32;
/** Number of unanswered requests per run: a round trip takes longer than many requests. */
const AHEAD = 8;

const SIDE = {
  [ReplyKind.failedInJail]: 'jail',
  [ReplyKind.failedAtSource]: 'source',
  [ReplyKind.sourceChanged]: 'changed',
} as const;

/** How long a signal may take to reach this process after it ended the front's work, in milliseconds. */
const SIGNAL_DELAY = 2000;

/** Receives the replies to a job. */
interface Listener {
  readonly operations: number;
  reply(reply: Reply): void;
  /** @param interrupted whether a signal ended the job */
  end(interrupted: boolean): void;
  fail(error: Error): void;
}

/**
 * Carries out operations in the native program, which does what Node cannot: preserve all attributes, share blocks,
 * work in parallel, and hold directories open, so that replacing one by a link does not redirect writes out of the
 * jail.
 */
export class NativeEngine implements Engine {
  readonly shortcoming = undefined;
  readonly #connection: Connection;
  readonly #replies = new ReplyReader();
  readonly #listeners = new Map<number, Listener>();
  #failure: Error | undefined;
  #outstanding = 0;
  #jobs = 0;
  #runs = 0;

  private constructor(connect: Connect, base: string, sourceRoot: string) {
    this.#connection = connect({
      take: (bytes) => {
        for (const reply of this.#replies.read(bytes)) this.#take(reply);
      },
      fail: (how) => this.#fail(new EngineEnded(how)),
      outstanding: () => this.#outstanding,
    });
    this.#connection.write(beginRequest(base, sourceRoot));
  }

  /**
   * Starts an engine on a connection.
   *
   * @returns undefined if none can be made
   */
  static start(connect: Connect, base: string, sourceRoot: string): NativeEngine | undefined {
    try {
      return new NativeEngine(connect, base, sourceRoot);
    } catch (error) {
      if (error instanceof NotConnected) return undefined;
      throw error;
    }
  }

  async run(
    operations: readonly Operation[] | LazyList<Operation>,
    options: RunOptions = {},
  ): Promise<void> {
    const { ordered = false, signal } = options;
    const request: MakeRequest<Operation> = (run, job, chunk, isOrdered) =>
      runRequest(run, job, isOrdered, chunk, signal !== undefined);
    await this.#carryOut(operations, chunksOf(operations, ordered), request, options);
  }

  /**
   * Writes parts of a file that this process has created, in their order. The last one must not be empty, since what
   * is not written reads as zeros up to the end of the file.
   *
   * @throws as `run`
   */
  async place(
    output: Output,
    placements: LazyList<Placement>,
    options: Pick<RunOptions, 'onDone' | 'signal'> = {},
  ): Promise<void> {
    const isInterruptible = options.signal !== undefined;
    const request: MakeRequest<Placement> = (run, job, chunk) =>
      placeRequest(run, job, output, chunk, isInterruptible);
    await this.#carryOut(placements, piecesOf(placements), request, { ...options, isAside: true });
  }

  /** @param chunks the operations in the parts in which they are requested */
  async #carryOut<T>(
    operations: LazyList<T>,
    chunks: Iterable<Chunk<T>>,
    request: MakeRequest<T>,
    options: RunOptions,
  ): Promise<void> {
    const { signal, isAside } = options;
    const run = ++this.#runs;
    const stop = (): void => {
      this.#connection.write(stopRequest(run));
    };
    signal?.throwIfAborted();
    signal?.addEventListener('abort', stop);
    let done = 0;
    let failure: OperationError | undefined;
    let thrown: { readonly error: unknown } | undefined;
    const pending: Promise<boolean>[] = [];
    const take = (first: number, { kind, index, errno, data }: Reply): void => {
      if (thrown !== undefined) return;
      const at = first + index;
      try {
        if (kind === ReplyKind.done) {
          done++;
          options.onDone?.(at);
        } else if (kind === ReplyKind.warning) {
          options.onWarning?.(at, { attribute: data.toString(), errno: errnoName(errno) });
        } else if (kind === ReplyKind.data) {
          options.onCapability?.(at, parseXattrs(data));
        } else if (kind in SIDE) {
          failure ??= new OperationError(at, SIDE[kind as keyof typeof SIDE], errnoName(errno));
        }
      } catch (error) {
        thrown = { error };
        stop();
      }
    };
    try {
      for (const { first, chunk, isOrdered } of chunks) {
        if (failure !== undefined || thrown !== undefined || signal?.aborted) break;
        if (pending.length >= AHEAD) await pending[pending.length - AHEAD];
        const job = ++this.#jobs;
        pending.push(this.#listen(job, chunk.length, (reply) => take(first, reply)));
        this.#ask(request(run, job, chunk, isOrdered), isAside);
      }
      const ends = await Promise.all(pending);
      if (signal !== undefined && ends.includes(true)) await abortion(signal);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    if (thrown !== undefined) throw thrown.error;
    if (failure !== undefined) throw failure;
    if (done < operations.length) signal?.throwIfAborted();
  }

  /**
   * Reads the extended attributes of sources in the manifest's form.
   *
   * @param sources relative to the source root, no symbolic links
   * @returns by index in the list; omits sources without attributes or not readable
   */
  async xattrs(sources: readonly string[]): Promise<Map<number, Record<string, string>>> {
    return this.#query(xattrsRequest, parseXattrs, sources);
  }

  /**
   * Reads which parts of sources may contain data; the rest are holes, which read as zeros.
   *
   * @param sources relative to the source root
   * @returns by index in the list; omits sources that cannot be read
   */
  async extents(sources: readonly string[]): Promise<Map<number, readonly Extent[]>> {
    return this.#query(extentsRequest, parseExtents, sources);
  }

  /**
   * Reads the entries of directories of the sources with their attributes.
   *
   * @param sources relative to the source root
   * @returns pieces of a listing, by index in the list; omits directories that cannot be read
   */
  async entries(sources: readonly string[]): Promise<Map<number, readonly Buffer[]>> {
    const found = new Map<number, Buffer[]>();
    const job = ++this.#jobs;
    const ended = this.#listen(job, sources.length, ({ kind, index, data }) => {
      if (kind === ReplyKind.data) {
        const pieces = found.get(index);
        if (pieces === undefined) found.set(index, [data]);
        else pieces.push(data);
      } else if (kind === ReplyKind.done) {
        if (!found.has(index)) found.set(index, []);
      } else found.delete(index);
    });
    this.#ask(surveyRequest(++this.#runs, job, sources));
    await ended;
    return found;
  }

  async #query<T>(
    request: (run: number, job: number, sources: readonly string[]) => Buffer[],
    parse: (data: Buffer) => T,
    sources: readonly string[],
  ): Promise<Map<number, T>> {
    const found = new Map<number, T>();
    const job = ++this.#jobs;
    const ended = this.#listen(job, sources.length, ({ kind, index, data }) => {
      if (kind === ReplyKind.data) found.set(index, parse(data));
    });
    this.#ask(request(++this.#runs, job, sources));
    await ended;
    return found;
  }

  /**
   * Returns whether everything that blocks list is unchanged.
   *
   * @param recorded time of the jail's record, in nanoseconds since the epoch
   */
  async holds(checks: readonly BlockCheck[], recorded: bigint): Promise<boolean> {
    const run = ++this.#runs;
    let isSame = true;
    const ended: Promise<boolean>[] = [];
    for (let first = 0; first < checks.length && isSame; first += CHECKED) {
      const chunk = checks.slice(first, first + CHECKED);
      const job = ++this.#jobs;
      const take = ({ kind }: Reply): void => {
        if (kind !== ReplyKind.done) isSame = false;
      };
      ended.push(this.#listen(job, chunk.length, take));
      this.#ask(checkRequest(run, job, chunk, recorded));
    }
    await Promise.all(ended);
    return isSame;
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** @returns whether a signal ended the job */
  #listen(job: number, operations: number, reply: (reply: Reply) => void): Promise<boolean> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#outstanding += operations;
    const ended = new Promise<boolean>((end, fail) => {
      this.#listeners.set(job, { operations, reply, end, fail });
    });
    // Awaited later; an earlier rejection is not unhandled.
    ended.catch(() => {});
    return ended;
  }

  #ask(request: readonly Buffer[], isAside = false): void {
    this.#connection.write(request);
    this.#connection.expect(isAside);
  }

  #take(reply: Reply): void {
    const listener = this.#listeners.get(reply.job);
    if (listener === undefined) return;
    if (reply.kind !== ReplyKind.end) {
      listener.reply(reply);
      return;
    }
    this.#listeners.delete(reply.job);
    this.#outstanding -= listener.operations;
    listener.end(reply.errno !== 0);
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const { fail } of this.#listeners.values()) fail(error);
    this.#listeners.clear();
    this.#outstanding = 0;
  }
}

/**
 * Waits for a signal that the front has already received.
 *
 * @throws JailbuildError WRITE_FAILED if it does not arrive
 */
async function abortion(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new EngineEnded('by a signal')), SIGNAL_DELAY);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The native program ended before its work was done, for example because it was killed. */
export class EngineEnded extends JailbuildError {
  constructor(how: string) {
    super('WRITE_FAILED', `the native writer ended early (${how}): build again to repair the jail`);
  }
}

/** Operations of one request, and the index of the first. */
interface Chunk<T> {
  readonly first: number;
  readonly chunk: readonly T[];
  readonly isOrdered: boolean;
}

type MakeRequest<T> = (
  run: number,
  job: number,
  chunk: readonly T[],
  isOrdered: boolean,
) => readonly Buffer[];

/** Splits a list whose requests are carried out one after the other. */
function* piecesOf<T>(list: LazyList<T>): Generator<Chunk<T>> {
  for (let first = 0; first < list.length; first += CHUNK) {
    const end = Math.min(first + CHUNK, list.length);
    yield { first, chunk: itemsOf(list, first, end), isOrdered: true };
  }
}

function* chunksOf(
  operations: LazyList<Operation>,
  ordered: NonNullable<RunOptions['ordered']>,
): Generator<Chunk<Operation>> {
  const isIn = typeof ordered === 'function' ? ordered : () => ordered;
  for (let first = 0; first < operations.length; ) {
    const isOrdered = isIn(first);
    let end = first + 1;
    const limit = isOrdered ? operations.length : Math.min(first + CHUNK, operations.length);
    while (end < limit && isIn(end) === isOrdered) end++;
    yield { first, chunk: itemsOf(operations, first, end), isOrdered };
    first = end;
  }
}

function itemsOf<T>(list: LazyList<T>, first: number, end: number): T[] {
  const items: T[] = [];
  for (let index = first; index < end; index++) {
    const item = list.at(index);
    if (item !== undefined) items.push(item);
  }
  return items;
}

function errnoName(errno: number): string {
  return errno === 0 ? '' : getSystemErrorName(-errno);
}
