import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { type Connection, NotConnected, type Receiver } from './connection.js';

type Child = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };

/** Descriptors used temporarily when a process starts. */
const NEEDED = 8;

/**
 * Distinguishes a descriptor limit from a program that cannot be executed: falling back to Node would lose attributes.
 *
 * @throws JailbuildError WRITE_FAILED
 */
function refuseFewDescriptors(): void {
  const held: number[] = [];
  try {
    while (held.length < NEEDED) held.push(openSync('/dev/null', 'r'));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EMFILE' && errno !== 'ENFILE') return;
    throw new JailbuildError(
      'WRITE_FAILED',
      `the native writer cannot be started: ${strerror(error)}: raise the limit with ulimit -n`,
    );
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

/** A connection to a child process that lives as long as the connection. */
export class ChildConnection implements Connection {
  readonly #child: Child;
  readonly #ended: Promise<void>;

  private constructor(child: Child, receiver: Receiver) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (status, signal) => {
        receiver.fail(signal ?? `status ${status}`);
        resolve();
      });
    });
    // The exit handler reports the failure.
    child.on('error', () => {});
    child.stdin.on('error', () => {});
    child.stdout.on('data', (bytes: Buffer) => receiver.take(bytes));
  }

  /** @throws NotConnected if this machine cannot execute the program */
  static start(program: string, receiver: Receiver): ChildConnection {
    const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.pid === undefined) {
      child.on('error', () => {});
      refuseFewDescriptors();
      throw new NotConnected(program);
    }
    return new ChildConnection(child, receiver);
  }

  write(request: readonly Buffer[]): void {
    for (const part of request) this.#child.stdin.write(part);
  }

  expect(): void {}

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
