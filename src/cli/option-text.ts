import type { Completion, OptionSpec, OptionTable, PositionalSpec, ValueHints } from './command.js';

/** Options of every command. */
export const COMMON_OPTIONS: OptionTable = {
  help: { alias: 'h', type: 'boolean', describe: 'Show help' },
  version: { alias: 'V', type: 'boolean', describe: 'Show the version number' },
};

/** Returns the documented options of a table, in its order. */
export function shownOptions(options: OptionTable): (readonly [name: string, spec: OptionSpec])[] {
  return Object.entries(options).filter(([, spec]) => !spec.hidden);
}

/** Groups options under their headings, in the order in which the headings first appear. */
export function groupedOptions(
  options: OptionTable,
): Map<string, (readonly [name: string, spec: OptionSpec])[]> {
  const groups = new Map<string, (readonly [string, OptionSpec])[]>();
  for (const option of shownOptions(options)) {
    const heading = option[1].group?.replace(/:$/, '') ?? 'Options';
    groups.set(heading, [...(groups.get(heading) ?? []), option]);
  }
  return groups;
}

export function shortNamesOf(spec: OptionSpec): readonly string[] {
  return [spec.alias ?? []].flat().filter((alias) => alias.length === 1);
}

export function longNamesOf(name: string, spec: OptionSpec): readonly string[] {
  return [name, ...[spec.alias ?? []].flat().filter((alias) => alias.length > 1)];
}

/** Returns all names of an option with their dashes: `-n`, `--no-clobber`. */
export function spellings(name: string, spec: OptionSpec): string[] {
  return [
    ...shortNamesOf(spec).map((short) => `-${short}`),
    ...longNamesOf(name, spec).map((long) => `--${long}`),
  ];
}

export function takesValue(spec: OptionSpec): boolean {
  return spec.type !== 'boolean' && spec.type !== 'count';
}

export function choicesOf(spec: OptionSpec | PositionalSpec): readonly string[] | undefined {
  return spec.choices === undefined ? undefined : [spec.choices].flat().map(String);
}

/** Returns the completions of the value: choices or hints of the table. */
export function completionOf(spec: (OptionSpec | PositionalSpec) & ValueHints): Completion {
  return choicesOf(spec) ?? spec.complete ?? [];
}

/** Returns the placeholder of the value, such as `copy|none`; undefined for a switch. */
export function placeholderOf(spec: OptionSpec): string | undefined {
  if (!takesValue(spec)) return undefined;
  if (spec.placeholder !== undefined) return spec.placeholder;
  const choices = choicesOf(spec);
  if (choices !== undefined) return choices.join('|');
  switch (spec.complete) {
    case 'file':
      return 'FILE';
    case 'directory':
      return 'DIR';
    case 'program':
    case 'jail-program':
      return 'PROGRAM';
    case 'profile':
      return 'NAME';
    default:
      return spec.type === 'number' ? 'N' : 'VALUE';
  }
}

/** Returns the description of an option or positional, with its default unless the text names it. */
export function describeValue(spec: OptionSpec | PositionalSpec): string {
  const text = spec.describe || '';
  if (spec.default === undefined || spec.default === false || text.includes('[default:'))
    return text;
  return `${text} [default: ${[spec.default].flat().join(',')}]`;
}
