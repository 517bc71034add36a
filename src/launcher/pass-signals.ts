import { isatty } from 'node:tty';

/** Signals from other processes, forwarded to the command. */
const PASSED_ON = ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;
/** From a terminal, these reach the command directly. */
const KEYBOARD = ['SIGINT', 'SIGQUIT'] as const;

const ENDING: ReadonlySet<NodeJS.Signals> = new Set(['SIGHUP', 'SIGINT', 'SIGTERM']);

/** Forwards signals to a child process while it runs. */
export class SignalPassing {
  readonly #passOn = (signal: NodeJS.Signals): void => {
    this.#note(signal);
    this.#child?.kill(signal);
  };
  readonly #note = (signal: NodeJS.Signals): void => {
    if (ENDING.has(signal)) this.#ending = signal;
  };
  #child: { kill(signal: NodeJS.Signals): boolean } | undefined;
  #ending: NodeJS.Signals | undefined;

  /** Returns the last signal that ends a command by convention; undefined before one has come. */
  get ending(): NodeJS.Signals | undefined {
    return this.#ending;
  }

  /** Starts forwarding. Call it before the child runs: others may signal it before this process continues. */
  start(): void {
    for (const signal of PASSED_ON) process.on(signal, this.#passOn);
    for (const signal of KEYBOARD) process.on(signal, isatty(0) ? this.#note : this.#passOn);
  }

  to(child: { kill(signal: NodeJS.Signals): boolean }): void {
    this.#child = child;
  }

  stop(): void {
    for (const signal of [...PASSED_ON, ...KEYBOARD])
      process.off(signal, this.#passOn).off(signal, this.#note);
  }
}
