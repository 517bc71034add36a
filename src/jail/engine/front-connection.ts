import { read, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Connection, NotConnected, type Receiver } from './connection.js';
import { endRequest } from './protocol.js';

/** Descriptors of the pipes to and from the native front that has started this process. */
export interface FrontChannel {
  readonly requests: number;
  readonly replies: number;
}

/**
 * More operations than this take long enough for timers and the display to get their turn meanwhile;
 * to wait for fewer by Node's event loop would cost more than they do.
 */
const BLOCKING = 512;

const readLater = promisify(read);

let channel: FrontChannel | undefined;

/** Has the writer be the front that this process was started by. */
export function useFront(from: FrontChannel | undefined): void {
  channel = from;
}

/**
 * A connection to the front, which is the command that the user has started, and waits for our end. It
 * serves one user at a time. A signal that ends the work also ends what the front carries out, for we
 * may be waiting for it in a system call.
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

  write(request: Buffer): void {
    if (this.#gone !== undefined) return;
    try {
      for (let at = 0; at < request.length; ) {
        at += writeSync(this.#channel.requests, request, at);
      }
    } catch (error) {
      this.#end(String(error));
    }
  }

  expect(isAside: boolean): void {
    this.#isAside = isAside;
    if (this.#isReading) return;
    this.#isReading = true;
    // Whoever asks has something to do until then.
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
    if (count === 0) this.#end('its end of the pipe is closed');
    else this.#receiver.take(Buffer.from(this.#buffer.subarray(0, count)));
    return count > 0;
  }

  #end(how: string): void {
    this.#gone = how;
    this.#receiver.fail(how);
  }
}
