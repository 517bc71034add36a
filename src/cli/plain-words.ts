import type { AnyCommand, OptionSpec } from './command.js';
import { spellings } from './option-text.js';
import type { Parsed } from './usage.js';

/** Attributes of options that are parsed here; options with any others are left to yargs. */
const KNOWN = new Set<string>([
  'alias',
  'array',
  'choices',
  'complete',
  'describe',
  'group',
  'hidden',
  'nargs',
  'placeholder',
  'requiresArg',
  'type',
]);

/**
 * Parses simple command lines as ./parse-words.ts does: positionals, switches, and
 * options with one value, each spelt out.
 *
 * @param words those without the command's name
 * @returns undefined for any other command line, valid or not
 */
export function parsePlainWords(command: AnyCommand, words: readonly string[]): Parsed | undefined {
  const options = Object.entries(command.options);
  if (options.some(([, { default: value, demandOption }]) => value !== undefined || demandOption))
    return undefined;
  const parsed: Record<string, unknown> = { _: [], $0: 'jailbuild' };
  const places: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '--') {
      if (at + 1 < words.length) parsed['--'] = words.slice(at + 1);
      break;
    }
    if (!word.startsWith('-')) {
      if (!isPlain(word) || isSwitchValue(word)) return undefined;
      places.push(word);
      continue;
    }
    const [, spelling = word, given] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
    const option = options.find(([name, spec]) => spellings(name, spec).includes(spelling));
    if (option === undefined || !Object.keys(option[1]).every((key) => KNOWN.has(key)))
      return undefined;
    const [name, spec] = option;
    if (spec.type === 'boolean') {
      if (given !== undefined || name in parsed) return undefined;
      setOption(parsed, name, spec, true);
      continue;
    }
    const value = given ?? words[++at];
    if (value === undefined || !isPlain(value) || value.startsWith('-')) return undefined;
    const before = parsed[name];
    if (!spec.array) {
      if (before !== undefined) return undefined;
      setOption(parsed, name, spec, value);
    } else if (spec.nargs === 1) {
      setOption(parsed, name, spec, [...(Array.isArray(before) ? before : []), value]);
    } else {
      return undefined;
    }
  }
  return setPositionals(parsed, command, places) ? parsed : undefined;
}

/** yargs strips remaining quotes and treats `$0` and empty words specially. */
function isPlain(word: string): boolean {
  return word !== '' && word !== '$0' && !/^['"]|['"]$/.test(word);
}

/** After a switch, yargs takes such a word as the value of the switch. */
function isSwitchValue(word: string): boolean {
  return word === 'true' || word === 'false';
}

function setOption(
  parsed: Record<string, unknown>,
  name: string,
  spec: OptionSpec,
  value: unknown,
): void {
  for (const key of [name, ...[spec.alias ?? []].flat()]) parsed[key] = value;
}

/** Assigns words to the positionals of the usage line: `<one>`, `[one]`, `[any..]`. Returns false if they do not fit. */
function setPositionals(
  parsed: Record<string, unknown>,
  { usage, positionals }: AnyCommand,
  words: readonly string[],
): boolean {
  let used = 0;
  for (const [, open, name = '', dots] of usage.matchAll(/([<[])([^\]>.]+)(\.\.)?[\]>]/g)) {
    const isArray = dots !== undefined || positionals[name]?.array === true;
    if (open === '<' && used === words.length) return false;
    if (isArray) {
      if (words.length > 0) parsed[name] = words.slice(used);
      used = words.length;
    } else if (used < words.length) {
      parsed[name] = words[used++];
    }
  }
  return used === words.length;
}
