/** The way to a native program that carries out requests; ./protocol.ts has what is said on it. */
export interface Connection {
  /** @param request whole, its length before it */
  write(request: Buffer): void;
  /**
   * Says that replies are to come, for as long as the receiver has operations outstanding.
   *
   * @param isAside as `RunOptions` has it
   */
  expect(isAside: boolean): void;
  /** Gives up what the program holds for us, and waits until it has. */
  close(): Promise<void>;
}

/** Events of a connection. */
export interface Receiver {
  /** Takes bytes that are its own from then on. */
  take(bytes: Buffer): void;
  /** The program is gone. */
  fail(how: string): void;
  /** The operations whose replies have not come. */
  outstanding(): number;
}

/** @throws NotConnected where there is no such program, or this machine cannot execute it */
export type Connect = (receiver: Receiver) => Connection;

export class NotConnected extends Error {}
