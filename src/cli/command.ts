import type { Options, PositionalOptions } from 'yargs';

/** The type of an option's value, derived from its declaration. */
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

/**
 * What a shell offers for a value: names of one kind, or these words. A word that ends in `:` or `=` is
 * followed by the name of a file. `jail-program` is a program inside
 * the jail that the command line names, `profile` the name of a profile.
 */
export type Completion =
  | 'file'
  | 'directory'
  | 'program'
  | 'jail-program'
  | 'profile'
  | readonly string[];

/** Properties of a value for help, completion and manual; the parser ignores them. */
export interface ValueHints {
  /** Placeholder of the value, such as DIR or NAME=VALUE. The default is the choices, or `complete`. */
  readonly placeholder?: string;
  readonly complete?: Completion;
}

export type OptionSpec = Options & ValueHints;
export type PositionalSpec = PositionalOptions & ValueHints;

/** Options by their long names. `group` is a heading under which help and manual list some of them. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;
export type PositionalTable = Readonly<Record<string, PositionalSpec>>;

/** Declared options and positionals as typed values, and the words after `--`. */
export type Arguments<P, O> = ValuesOf<P> &
  ValuesOf<O> & { readonly '--'?: readonly string[] | undefined };

/**
 * One command of the command line, as data. Help, completion and the manual page are made from it.
 */
export interface Command<P extends PositionalTable, O extends OptionTable> {
  readonly name: string;
  /** The positionals, in the notation of yargs. */
  readonly usage: string;
  readonly summary: string;
  /** Further paragraphs for help and manual. */
  readonly description?: readonly string[];
  /** The words allowed after `--`. */
  readonly rest?: ValueHints & { readonly describe: string };
  readonly positionals: P;
  readonly options: O;
  /** Command lines without the program's name, and their descriptions. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  /** Exit statuses specific to this command. */
  readonly exits?: readonly (readonly [status: string, meaning: string])[];
  /** Runs the command and returns the exit status. */
  run(args: Arguments<P, O>): Promise<number>;
}

/** A command with its argument types erased, for lists of commands. */
export type AnyCommand = Omit<Command<PositionalTable, OptionTable>, 'run'> & {
  run(args: never): Promise<number>;
};

/** Commands under one heading of the help. */
export interface CommandGroup {
  readonly heading: string;
  readonly commands: readonly AnyCommand[];
}

/** Declares a command, so that `run` gets values of the types that its tables declare. */
export function defineCommand<const P extends PositionalTable, const O extends OptionTable>(
  command: Command<P, O>,
): Command<P, O> {
  return command;
}
