import { read, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Connection, NotConnected, type Receiver } from './connection.js';
import { endRequest } from './protocol.js';

/** Descriptors of the pipes to and from the native front that started this process. */
export interface FrontChannel {
  readonly requests: number;
  readonly replies: number;
}

/**
 * Above this many operations, timers and the display need a turn meanwhile; for fewer, waiting through Node's event
 * loop would cost more than the operations.
 */
const BLOCKING = 512;

const readLater = promisify(read);

let channel: FrontChannel | undefined;

/** Makes the front that started this process the writer. */
export function useFront(from: FrontChannel | undefined): void {
  channel = from;
}

/**
 * A connection to the front: the command that the user started, which waits for this process to end. It serves one
 * client at a time. A signal that ends the work also ends the front's operations, since this process may be blocked in
 * a system call waiting for them.
 */
export class FrontConnection implements Connection {
  readonly #channel: FrontChannel;
  readonly #receiver: Receiver;
  readonly #buffer = Buffer.allocUnsafeSlow(1 << 16);
  #isReading = false;
  #isAside = false;
  #gone: string | undefined;

  private constructor(to: FrontChannel, receiver: Receiver) {
    this.#channel = to;
    this.#receiver = receiver;
  }

  /** Returns whether a front is available and free. */
  static get isFree(): boolean {
    return channel !== undefined;
  }

  /** @throws NotConnected if there is no front, or if it is busy */
  static open(receiver: Receiver): FrontConnection {
    if (channel === undefined) throw new NotConnected();
    const opened = new FrontConnection(channel, receiver);
    channel = undefined;
    return opened;
  }

  /**
   * Has the front serve a whole session while this process waits in system calls.
   *
   * @param requests all requests of the session but its end
   * @param take is given what the front replies; returns true once that is all
   * @returns false if there is no free front, or it has ended
   */
  static serve(
    requests: readonly (readonly Buffer[])[],
    take: (bytes: Buffer) => boolean,
  ): boolean {
    if (channel === undefined) return false;
    const connection = FrontConnection.open({ take() {}, fail() {}, outstanding: () => 0 });
    for (const request of requests) connection.write(request);
    for (let isOver = false; !isOver; ) {
      const bytes = connection.#readNow();
      if (bytes === undefined) return false;
      isOver = take(bytes);
    }
    connection.write(endRequest(0));
    // The reply confirms the end.
    if (connection.#readNow() === undefined) return false;
    channel = connection.#channel;
    return true;
  }

  write(request: readonly Buffer[]): void {
    if (this.#gone !== undefined) return;
    try {
      for (const part of request) {
        for (let at = 0; at < part.length; ) at += writeSync(this.#channel.requests, part, at);
      }
    } catch (error) {
      this.#end(String(error));
    }
  }

  expect(isAside: boolean): void {
    this.#isAside = isAside;
    if (this.#isReading) return;
    this.#isReading = true;
    // The caller has work to do before the reply arrives.
    queueMicrotask(() => void this.#read());
  }

  async close(): Promise<void> {
    if (this.#gone !== undefined) return;
    this.write(endRequest(0));
    this.#isAside = false;
    // The reply confirms that locks are released.
    while (this.#gone === undefined && !(await this.#readOnce())) {}
    if (this.#gone === undefined) channel = this.#channel;
  }

  async #read(): Promise<void> {
    while (this.#gone === undefined && this.#receiver.outstanding() > 0) await this.#readOnce();
    this.#isReading = false;
  }

  /** Returns true if something was read. */
  async #readOnce(): Promise<boolean> {
    const { replies } = this.#channel;
    let count = 0;
    try {
      count =
        this.#isAside || this.#receiver.outstanding() > BLOCKING
          ? (await readLater(replies, this.#buffer, 0, this.#buffer.length, null)).bytesRead
          : readSync(replies, this.#buffer);
    } catch (error) {
      this.#end(String(error));
      return false;
    }
    if (count === 0) this.#end('it closed its pipe');
    else this.#receiver.take(Buffer.from(this.#buffer.subarray(0, count)));
    return count > 0;
  }

  /** Returns what the front has replied; undefined if it has ended. */
  #readNow(): Buffer | undefined {
    try {
      const count = readSync(this.#channel.replies, this.#buffer);
      if (count > 0) return this.#buffer.subarray(0, count);
      this.#end('it closed its pipe');
    } catch (error) {
      this.#end(String(error));
    }
    return undefined;
  }

  #end(how: string): void {
    this.#gone = how;
    this.#receiver.fail(how);
  }
}
