/** Transport to a native program that carries out requests; see ./protocol.ts for the format. */
export interface Connection {
  /** @param request the parts of a complete one, with its length prefix */
  write(request: readonly Buffer[]): void;
  /**
   * Announces pending replies, until the receiver has no operations outstanding.
   *
   * @param isAside as in `RunOptions`
   */
  expect(isAside: boolean): void;
  /** Releases everything that the program holds for this connection, and waits until it has. */
  close(): Promise<void>;
}

/** Callbacks of a connection. */
export interface Receiver {
  /** Takes ownership of received bytes. */
  take(bytes: Buffer): void;
  /** The program has ended. */
  fail(how: string): void;
  /** Returns the number of operations without a reply. */
  outstanding(): number;
}

/** @throws NotConnected if there is no such program or this machine cannot execute it */
export type Connect = (receiver: Receiver) => Connection;

export class NotConnected extends Error {}
