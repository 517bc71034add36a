/** A warning about what a program may lack in the jail, with its remedy. */
export interface Advice {
  /** The kind of fact it is based on, for machines. */
  readonly id: 'data' | 'shell' | 'commands' | 'certificates' | 'user' | 'script' | 'path';
  /** The program, as requested. */
  readonly program: string;
  /** A sentence, without the remedy. */
  readonly text: string;
  /** Words to add to the command line of `build`: options or programs; empty if nothing helps. */
  readonly add: readonly string[];
}

/** Formats advice in one line, with its remedy. */
export function adviceLine({ text, add }: Advice): string {
  return add.length === 0 ? text : `${text}: add ${add.join(' ')}`;
}
