import type { Options, PositionalOptions } from 'yargs';

/** The values yargs gives for an option, by how it is declared. */
type ValueOf<O extends Options | PositionalOptions> = O extends { type: 'boolean' }
  ? boolean
  : O extends { array: true }
    ? string[]
    : string;

type Present<O extends Options | PositionalOptions> = O extends
  | { demandOption: true }
  | { default: unknown }
  ? ValueOf<O>
  : ValueOf<O> | undefined;

type ValuesOf<T> = {
  readonly [K in keyof T]: T[K] extends Options | PositionalOptions ? Present<T[K]> : never;
};

export type OptionTable = Readonly<Record<string, Options>>;
export type PositionalTable = Readonly<Record<string, PositionalOptions>>;

/** Declared options and positionals as typed values, and what stands behind `--`. */
export type Arguments<P, O> = ValuesOf<P> &
  ValuesOf<O> & { readonly '--'?: readonly string[] | undefined };

/**
 * One command of the command line, as data. Help, completion and the manual page are made from it.
 */
export interface Command<P extends PositionalTable, O extends OptionTable> {
  readonly name: string;
  /** What follows the name, in yargs' notation. */
  readonly usage: string;
  readonly summary: string;
  readonly positionals: P;
  readonly options: O;
  /** Command lines without the program's name, with what they do. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  /** Does the work and returns the exit status. */
  run(args: Arguments<P, O>): Promise<number>;
}

/** A command whose types are known to itself alone, for lists of commands. */
export type AnyCommand = Omit<Command<PositionalTable, OptionTable>, 'run'> & {
  run(args: never): Promise<number>;
};

/** Declares a command, so that `run` gets values of the types that its tables declare. */
export function defineCommand<const P extends PositionalTable, const O extends OptionTable>(
  command: Command<P, O>,
): Command<P, O> {
  return command;
}
