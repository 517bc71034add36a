import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { JailbuildError } from '../../errors.js';
import { type Engine, OperationError, type RunOptions } from './engine.js';
import type { Operation } from './operations.js';
import {
  beginRequest,
  parseXattrs,
  type Reply,
  ReplyKind,
  ReplyReader,
  runRequest,
  stopRequest,
  xattrsRequest,
} from './protocol.js';

/** Operations without an order that go in one request. */
const CHUNK = 256;
/** Requests of a run that may be unanswered: an answer takes longer than many a request. */
const AHEAD = 8;

const SIDE = {
  [ReplyKind.failedInJail]: 'jail',
  [ReplyKind.failedAtSource]: 'source',
  [ReplyKind.sourceChanged]: 'changed',
} as const;

type Child = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };

/** What waits for the replies to a job. */
interface Listener {
  reply(reply: Reply): void;
  end(): void;
  fail(error: Error): void;
}

/**
 * Has the operations carried out by a program of ours in C, which can do what Node cannot: keep all
 * attributes, share blocks, work in parallel, and hold directories open, so that nobody who exchanges
 * one for a link meanwhile leads it out of the jail.
 */
export class NativeEngine implements Engine {
  readonly shortcoming = undefined;
  readonly #child: Child;
  readonly #replies = new ReplyReader();
  readonly #listeners = new Map<number, Listener>();
  readonly #ended: Promise<void>;
  #failure: Error | undefined;
  #jobs = 0;
  #runs = 0;

  private constructor(child: Child, base: string, sourceRoot: string) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (status, signal) => {
        this.#fail(new EngineEnded(signal ?? `status ${status}`));
        resolve();
      });
    });
    // The exit tells.
    child.on('error', () => {});
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      for (const reply of this.#replies.read(chunk)) this.#take(reply);
    });
    child.stdin.write(beginRequest(base, sourceRoot));
  }

  /**
   * Starts the program.
   *
   * @returns undefined if this machine cannot execute it
   */
  static start(program: string, base: string, sourceRoot: string): NativeEngine | undefined {
    const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.pid === undefined) {
      child.on('error', () => {});
      return undefined;
    }
    return new NativeEngine(child, base, sourceRoot);
  }

  async run(operations: readonly Operation[], options: RunOptions = {}): Promise<void> {
    const { ordered = false, signal } = options;
    const run = ++this.#runs;
    const stop = (): void => {
      this.#child.stdin.write(stopRequest(run));
    };
    signal?.throwIfAborted();
    signal?.addEventListener('abort', stop);
    let done = 0;
    let failure: OperationError | undefined;
    let thrown: { readonly error: unknown } | undefined;
    const pending: Promise<void>[] = [];
    const take = (first: number, { kind, index, errno, data }: Reply): void => {
      if (thrown !== undefined) return;
      const at = first + index;
      try {
        if (kind === ReplyKind.done) {
          done++;
          options.onDone?.(at);
        } else if (kind === ReplyKind.warning) {
          options.onWarning?.(at, { attribute: data.toString(), errno: errnoName(errno) });
        } else if (kind in SIDE) {
          failure ??= new OperationError(at, SIDE[kind as keyof typeof SIDE], errnoName(errno));
        }
      } catch (error) {
        thrown = { error };
        stop();
      }
    };
    try {
      for (const { first, chunk, isOrdered } of chunksOf(operations, ordered)) {
        if (failure !== undefined || thrown !== undefined || signal?.aborted) break;
        if (pending.length >= AHEAD) await pending[pending.length - AHEAD];
        const job = ++this.#jobs;
        pending.push(this.#listen(job, (reply) => take(first, reply)));
        this.#child.stdin.write(runRequest(run, job, isOrdered, chunk));
      }
      await Promise.all(pending);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    if (thrown !== undefined) throw thrown.error;
    if (failure !== undefined) throw failure;
    if (done < operations.length) signal?.throwIfAborted();
  }

  /**
   * The extended attributes of sources, as a manifest has them.
   *
   * @param sources relative to the source root, none of them a symbolic link
   * @returns by place in the list; those without any, or that cannot be read, are left out
   */
  async xattrs(sources: readonly string[]): Promise<Map<number, Record<string, string>>> {
    const found = new Map<number, Record<string, string>>();
    const job = ++this.#jobs;
    const ended = this.#listen(job, ({ kind, index, data }) => {
      if (kind === ReplyKind.data) found.set(index, parseXattrs(data));
    });
    this.#child.stdin.write(xattrsRequest(++this.#runs, job, sources));
    await ended;
    return found;
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  #listen(job: number, reply: (reply: Reply) => void): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const ended = new Promise<void>((end, fail) => {
      this.#listeners.set(job, { reply, end, fail });
    });
    // Awaited later: a failure before that is not one that nobody sees.
    ended.catch(() => {});
    return ended;
  }

  #take(reply: Reply): void {
    const listener = this.#listeners.get(reply.job);
    if (reply.kind === ReplyKind.end) {
      this.#listeners.delete(reply.job);
      listener?.end();
    } else {
      listener?.reply(reply);
    }
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const { fail } of this.#listeners.values()) fail(error);
    this.#listeners.clear();
  }
}

/** The native program ended before its work did, as when it is killed. */
class EngineEnded extends JailbuildError {
  constructor(how: string) {
    super('WRITE_FAILED', `the native writer ended (${how}); the next build repairs what it left`);
  }
}

/** Operations of one request, and the index of the first. */
interface Chunk {
  readonly first: number;
  readonly chunk: readonly Operation[];
  readonly isOrdered: boolean;
}

function* chunksOf(
  operations: readonly Operation[],
  ordered: NonNullable<RunOptions['ordered']>,
): Generator<Chunk> {
  const isIn = typeof ordered === 'function' ? ordered : () => ordered;
  for (let first = 0; first < operations.length; ) {
    const isOrdered = isIn(first);
    let end = first + 1;
    const limit = isOrdered ? operations.length : Math.min(first + CHUNK, operations.length);
    while (end < limit && isIn(end) === isOrdered) end++;
    yield { first, chunk: operations.slice(first, end), isOrdered };
    first = end;
  }
}

function errnoName(errno: number): string {
  return errno === 0 ? '' : getSystemErrorName(-errno);
}
