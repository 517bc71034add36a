import type { AnyCommand, Completion, OptionSpec, ValueHints } from '../command.js';
import {
  COMMON_OPTIONS,
  completionOf,
  describeValue,
  placeholderOf,
  shownOptions,
  spellings,
} from '../option-text.js';

/** What the scripts of all shells are made from. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  readonly positionals: readonly CompletedValue[];
  /** The last positional may be given any number of times. */
  readonly repeats: boolean;
  /** What stands behind `--`. */
  readonly rest: CompletedValue;
}

export interface CompletedOption {
  /** Each with its dashes. */
  readonly spellings: readonly string[];
  readonly describe: string;
  readonly repeats: boolean;
  /** Missing for a switch. */
  readonly value?: CompletedValue;
}

export interface CompletedValue {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'program' | 'jail-program' | 'none';
  /** A word that ends in `:` or `=` goes on with the name of a file. */
  readonly words: readonly string[];
}

/** Kinds of names that a shell cannot list by itself. */
export interface KnownNames {
  readonly profiles: readonly string[];
}

/** The commands as a shell has to know them; the first is the one that needs no name. */
export function completedCommands(
  commands: readonly AnyCommand[],
  known: KnownNames,
): CompletedCommand[] {
  return commands.map(({ name, summary, options, positionals, rest }) => ({
    name,
    summary,
    options: shownOptions({ ...options, ...COMMON_OPTIONS }).map(([long, spec]) =>
      completedOption(long, spec, known),
    ),
    positionals: Object.entries(positionals).map(([positional, spec]) =>
      completedValue(positional, completionOf(spec), known),
    ),
    repeats: Object.values(positionals).at(-1)?.array ?? false,
    rest: completedValue(rest?.placeholder ?? 'argument', rest?.complete ?? [], known),
  }));
}

function completedOption(
  name: string,
  spec: OptionSpec & ValueHints,
  known: KnownNames,
): CompletedOption {
  const placeholder = placeholderOf(spec);
  return {
    spellings: spellings(name, spec),
    describe: describeValue(spec).replace(/ \[default:.*\]$/, ''),
    repeats: spec.array ?? false,
    ...(placeholder === undefined
      ? {}
      : { value: completedValue(placeholder, completionOf(spec), known) }),
  };
}

function completedValue(name: string, offered: Completion, known: KnownNames): CompletedValue {
  if (typeof offered !== 'string') return { name, kind: 'none', words: offered };
  // A profile may be a file as well.
  if (offered === 'profile') return { name, kind: 'file', words: known.profiles };
  return { name, kind: offered, words: [] };
}
