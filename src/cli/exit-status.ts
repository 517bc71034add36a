import { JailbuildError } from '../errors.js';

/** docs/cli.md describes them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** `check` found something. */
  drift: 3,
  /** `run` could not start the command; what is above is the command's own, as in env(1). */
  launcher: 125,
} as const;

const SIGNAL_NUMBER = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export type InterruptSignal = keyof typeof SIGNAL_NUMBER;

/** The signals by which a user or an init asks a program to end. */
export const INTERRUPT_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** The status of a build that a signal ended: 128 and the signal's number, as shells have it. */
export function signalStatus(signal: InterruptSignal): number {
  return 128 + SIGNAL_NUMBER[signal];
}

export function exitStatusOf(error: unknown): number {
  if (!(error instanceof JailbuildError)) return EXIT.failure;
  switch (error.code) {
    case 'USAGE':
      return EXIT.usage;
    case 'LAUNCHER_MISSING':
    case 'LAUNCHER_FAILED':
    case 'OBSERVER_MISSING':
    case 'OBSERVATION_FAILED':
      return EXIT.launcher;
    default:
      return EXIT.failure;
  }
}
