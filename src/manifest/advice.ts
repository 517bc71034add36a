/** What a program may miss in the jail, and what brings it. */
export interface Advice {
  /** What kind of fact it rests on, for machines. */
  readonly id: 'data' | 'shell' | 'commands' | 'certificates' | 'user' | 'script' | 'path';
  /** The program, as it was requested. */
  readonly program: string;
  /** A sentence without remedy. */
  readonly text: string;
  /** Words for the command line of `build` that bring it: options, or further programs; none if nothing does. */
  readonly add: readonly string[];
}

/** An advice in one line, with its remedy. */
export function adviceLine({ text, add }: Advice): string {
  return add.length === 0 ? text : `${text}: add ${add.join(' ')}`;
}
