import type { AnyCommand, Completion, OptionSpec, ValueHints } from '../command.js';
import {
  COMMON_OPTIONS,
  completionOf,
  describeValue,
  placeholderOf,
  shownOptions,
  spellings,
} from '../option-text.js';

/** The command line as the completion scripts of all shells need it. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  readonly positionals: readonly CompletedValue[];
  /** The last positional may be repeated. */
  readonly repeats: boolean;
  /** The words after `--`. */
  readonly rest: CompletedValue;
}

export interface CompletedOption {
  /** Each with its dashes. */
  readonly spellings: readonly string[];
  readonly describe: string;
  readonly repeats: boolean;
  /** Absent for a switch. */
  readonly value?: CompletedValue;
}

export interface CompletedValue {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'program' | 'jail-program' | 'none';
  /** A word that ends in `:` or `=` is followed by the name of a file. */
  readonly words: readonly string[];
}

/** Kinds of names that a shell cannot list by itself. */
export interface KnownNames {
  readonly profiles: readonly string[];
}

/** Returns the commands for completion; the first is the default command. */
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
  // A profile may also be a file.
  if (offered === 'profile') return { name, kind: 'file', words: known.profiles };
  return { name, kind: offered, words: [] };
}
