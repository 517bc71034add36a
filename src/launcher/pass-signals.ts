import { isatty } from 'node:tty';

/** The signals that others send to us and that are the command's concern. */
const PASSED_ON = ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;
/** From a terminal these reach the command without us. */
const KEYBOARD = ['SIGINT', 'SIGQUIT'] as const;

/** Passes signals on to a child process for as long as it runs. */
export class SignalPassing {
  readonly #passOn = (signal: NodeJS.Signals): void => {
    this.#child?.kill(signal);
  };
  readonly #ignore = (): void => {};
  #child: { kill(signal: NodeJS.Signals): boolean } | undefined;

  /** To be called before the child runs: it may be up, and others know it, before we go on. */
  start(): void {
    for (const signal of PASSED_ON) process.on(signal, this.#passOn);
    for (const signal of KEYBOARD) process.on(signal, isatty(0) ? this.#ignore : this.#passOn);
  }

  to(child: { kill(signal: NodeJS.Signals): boolean }): void {
    this.#child = child;
  }

  stop(): void {
    for (const signal of [...PASSED_ON, ...KEYBOARD])
      process.off(signal, this.#passOn).off(signal, this.#ignore);
  }
}
