import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work in steps, between which its caller may do something else. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** The maximum time in milliseconds before the event loop gets a turn. */
const TURN = 40;

/** The number of small pieces of work in a step: to pause between each two would cost more than some of them. */
export const PACE = 32;

/** Runs all steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/**
 * Runs steps with pauses in which signals are handled. Work that ends before the first pause takes
 * no turn of the event loop.
 *
 * @param signal without it, all steps run at once
 * @throws the signal's reason
 */
export async function inTurns<T>(steps: Steps<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return atOnce(steps);
  let pause = performance.now() + TURN;
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() < pause) continue;
    await takeSignals(signal);
    pause = performance.now() + TURN;
  }
}

/**
 * Takes the signals that came while the event loop had no turn.
 *
 * @throws the signal's reason
 */
export async function takeSignals(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return;
  // In the caller's own iteration of the loop, polling may be over: signals are polled before the second turn.
  await nextTurn();
  await nextTurn();
  signal.throwIfAborted();
}
