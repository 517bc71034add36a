import { JailbuildError } from '../errors.js';
import { didYouMean } from '../text/suggest.js';
import type { AnyCommand, OptionSpec, OptionTable } from './command.js';
import {
  COMMON_OPTIONS,
  choicesOf,
  longNamesOf,
  shortNamesOf,
  spellings,
  takesValue,
} from './option-text.js';

/** A command line as yargs parses it. */
export type Parsed = Readonly<Record<string, unknown>>;

/**
 * Refuses what a command's tables do not allow. Each message names the word that is wrong.
 *
 * @param words the command line without the command's name, to say how it should be written
 * @throws JailbuildError USAGE
 */
export function checkArguments(
  command: AnyCommand,
  parsed: Parsed,
  words: readonly string[] = [],
): void {
  const { options, positionals } = command;
  const { _: extras } = parsed;
  const known = knownNames(options);
  for (const name of Object.keys(parsed)) {
    if (!known.has(name) && !(name in positionals) && !/^(_|\$0|--)$/.test(name)) {
      refuseOption(name, command, words);
    }
  }
  const [extra] = Array.isArray(extras) ? extras : [];
  if (extra !== undefined) {
    const hint = command.rest === undefined ? '' : '; put the command after --';
    const written = withSeparator(command, words);
    refuse(`${command.name} takes no argument ${extra}${written ?? hint}`, command);
  }
  for (const [name, option] of Object.entries(options)) {
    if (!option.array && Array.isArray(parsed[name]))
      refuse(`--${name} is given more than once`, command);
    checkChoice(command, `--${name} `, choicesOf(option), parsed[name]);
    if (isPath(option)) refuseEmpty(`--${name}`, parsed[name], command);
  }
  for (const [name, positional] of Object.entries(positionals)) {
    checkChoice(command, '', choicesOf(positional), parsed[name]);
    refuseEmpty(`<${name}>`, parsed[name], command);
  }
}

/**
 * Reports a misspelt option before any other error of the parser: its value was then taken
 * for something else.
 *
 * @throws JailbuildError USAGE
 */
export function refuseUnknownOption(words: readonly string[], command: AnyCommand): void {
  const known = knownNames(command.options);
  for (const word of beforeRest(words)) {
    const name = /^--([^=]+)/.exec(word)?.[1];
    if (name !== undefined && !known.has(name)) refuseOption(name, command, words);
  }
}

/**
 * Returns the corrected form of a command line whose command lacks the `--` before it; undefined if
 * there is no such word.
 */
function withSeparator(command: AnyCommand, words: readonly string[]): string | undefined {
  const places = Object.keys(command.positionals).length;
  if (command.rest === undefined || command.usage.includes('..') || words.includes('--')) {
    return undefined;
  }
  const valued = new Set(
    Object.entries(command.options).flatMap(([name, spec]) =>
      takesValue(spec) ? spellings(name, spec) : [],
    ),
  );
  const isPlace = (word: string, index: number): boolean =>
    !word.startsWith('-') && !valued.has(words[index - 1] ?? '');
  const start = words
    .map((word, index) => (isPlace(word, index) ? index : -1))
    .filter((at) => at >= 0)[places];
  if (start === undefined) return undefined;
  const before = words.slice(0, start).map(quoted);
  const behind = words.slice(start).map(quoted);
  return `; write jailbuild ${[command.name, ...before, '--', ...behind].join(' ')}`;
}

/** Quotes a word for a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Returns the words before `--`. */
export function beforeRest(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

/**
 * @param command the command whose help is referred to
 * @throws JailbuildError USAGE
 */
export function refuse(message: string, command?: AnyCommand): never {
  const name = command === undefined ? '' : ` ${command.name}`;
  throw new JailbuildError('USAGE', `${message} (see jailbuild${name} --help)`);
}

function refuseOption(name: string, command: AnyCommand, words: readonly string[] = []): never {
  const option = name.length === 1 ? `-${name}` : `--${name}`;
  const written = isBehind(option, command, words) ? withSeparator(command, words) : undefined;
  if (written !== undefined) refuse(`unknown option ${option}${written}`, command);
  if (name.length === 1) refuse(`unknown option -${name}`, command);
  const long = Object.entries({ ...command.options, ...COMMON_OPTIONS }).flatMap(([key, spec]) =>
    spec.hidden ? [] : longNamesOf(key, spec),
  );
  refuse(`unknown option --${name}${didYouMean(name, long, '--')}`, command);
}

/** Returns whether an option follows all arguments of the command, and so belongs to another command. */
function isBehind(option: string, command: AnyCommand, words: readonly string[]): boolean {
  const at = words.findIndex((word) =>
    option.startsWith('--')
      ? word === option || word.startsWith(`${option}=`)
      : /^-[^-]/.test(word) && word.includes(option.slice(1)),
  );
  return at > 0 && withSeparator(command, words.slice(0, at)) !== undefined;
}

function knownNames(options: OptionTable): Set<string> {
  return new Set(
    Object.entries({ ...options, ...COMMON_OPTIONS }).flatMap(([name, spec]) => [
      ...longNamesOf(name, spec),
      ...shortNamesOf(spec),
    ]),
  );
}

function isPath({ complete }: OptionSpec): boolean {
  return complete === 'file' || complete === 'directory';
}

/** Refuses an empty word: it is usually an unset variable, and as a path it would be the working directory. */
function refuseEmpty(what: string, given: unknown, command: AnyCommand): void {
  if ([given].flat().includes('')) refuse(`${what} is empty`, command);
}

function checkChoice(
  command: AnyCommand,
  what: string,
  choices: readonly string[] | undefined,
  given: unknown,
): void {
  if (choices === undefined || given === undefined) return;
  const wrong = [given].flat().find((value) => !choices.includes(String(value)));
  if (wrong !== undefined) refuse(`${what}${wrong}: give ${oneOf(choices)}`, command);
}

/** Joins words: `a`, `a or b`, `a, b or c`. */
function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
