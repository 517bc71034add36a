import { type ChildProcess, spawn } from 'node:child_process';
import { pipeline, type Readable, type Writable } from 'node:stream';
import { errnoOf } from '../errors.js';

/** Names of variables with their values; undefined removes one. */
type Environment = Readonly<Record<string, string | undefined>>;

/** How a filter ended. */
export interface FilterEnd {
  readonly failed: boolean;
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** The error of the input, or the system error if the program could not be started. */
  readonly cause: unknown;
}

/**
 * Passes a stream through a program of the host and yields its output. The program is killed if the
 * caller stops reading.
 *
 * @returns how the program ended; a failure is not thrown
 */
export async function* filterThrough(
  file: string,
  args: readonly string[],
  input: Readable,
  env: Environment = {},
): AsyncGenerator<Buffer, FilterEnd> {
  const filter = new Filter(file, args, 'pipe', env);
  try {
    if (filter.feed(input)) yield* filter.output;
    return await filter.end;
  } finally {
    filter.kill();
  }
}

/** Passes a stream through a program as {@link filterThrough}, with a descriptor for its output. */
export async function filterInto(
  fd: number,
  file: string,
  args: readonly string[],
  input: Readable,
  env: Environment = {},
): Promise<FilterEnd> {
  const filter = new Filter(file, args, fd, env);
  try {
    filter.feed(input);
    return await filter.end;
  } finally {
    filter.kill();
  }
}

/** A running program that reads its standard input to the end. */
class Filter {
  readonly end: Promise<FilterEnd>;
  readonly #program: ChildProcess;
  #inputError: unknown;

  constructor(file: string, args: readonly string[], output: 'pipe' | number, env: Environment) {
    this.#program = spawn(file, args, {
      cwd: '/',
      env: { ...process.env, ...env },
      stdio: ['pipe', output, 'pipe'],
    });
    const stderr: Buffer[] = [];
    this.#program.stderr?.on('data', (part: Buffer) => stderr.push(part));
    this.end = new Promise((resolve) => {
      const end = (exitCode: number | undefined, error?: unknown) => {
        const cause = this.#inputError ?? error;
        const failed = exitCode !== 0 || cause !== undefined;
        resolve({ failed, exitCode, stderr: Buffer.concat(stderr).toString().trim(), cause });
      };
      this.#program.once('error', (error) => end(undefined, error));
      this.#program.once('close', (exitCode) => end(exitCode ?? undefined));
    });
  }

  get output(): AsyncIterable<Buffer> {
    return this.#program.stdout as Readable;
  }

  /** Begins to feed the program; returns false if it could not be started. */
  feed(input: Readable): boolean {
    if (this.#program.pid === undefined) {
      input.destroy();
      return false;
    }
    pipeline(input, this.#program.stdin as Writable, (error) => {
      // If the program ends early, its status is the reason, not the broken pipe.
      if (!error || isBrokenPipe(error)) return;
      this.#inputError = error;
      this.kill();
    });
    return true;
  }

  kill(): void {
    this.#program.kill();
  }
}

function isBrokenPipe(error: NodeJS.ErrnoException): boolean {
  return errnoOf(error) === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
