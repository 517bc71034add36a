import type { AnyCommand, OptionSpec } from '../cli/command.js';
import { COMMANDS } from '../cli/commands/index.js';
import {
  describeValue,
  groupedOptions,
  longNamesOf,
  placeholderOf,
  shortNamesOf,
} from '../cli/option-text.js';

/** Rows of a Markdown table, each a list of cells. */
export type Rows = readonly (readonly string[])[];

/** Returns the first table below a heading. */
export function tableBelow(markdown: string, heading: string): Rows {
  const lines = markdown.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`no ${heading}`);
  const first = lines.findIndex((line, index) => index > from && line.startsWith('|'));
  const end = lines.findIndex((line, index) => index > first && !line.startsWith('|'));
  return lines.slice(first + 2, end < 0 ? undefined : end).map(cellsOf);
}

/**
 * Returns the meaning of each option of a command in docs/cli.md, between its marks, by the option's long
 * name. Those of `build` are written by hand; all others are the words of the help.
 */
export function optionMeanings(markdown: string, command: AnyCommand): Map<string, string> {
  const rows = blocks(markdown).flatMap((block) => (block.name === command.name ? block.rows : []));
  const meanings = new Map<string, string>();
  for (const [syntax = '', meaning = ''] of rows) {
    const name = /`--([\w-]+)/.exec(syntax)?.[1];
    if (name !== undefined) meanings.set(name, meaning);
  }
  return meanings;
}

/** Returns the document with a row for each option, in the order of the help. Keeps the words for `build`. */
export function withOptionTables(markdown: string): string {
  const lines = markdown.split('\n');
  // From the end, so that the positions of the others remain valid.
  for (const { name, group, from, to } of blocks(markdown).reverse()) {
    const command = COMMANDS.find((candidate) => candidate.name === name);
    const options = command && groupedOptions(command.options).get(group ?? 'Options');
    if (options === undefined) throw new Error(`no options of ${name}${group ? `: ${group}` : ''}`);
    const meanings = optionMeanings(markdown, command as AnyCommand);
    const rows = options.map(([long, spec]) => {
      const written = name === 'build' ? meanings.get(long) : undefined;
      const meaning = written ?? sentence(describeValue(spec)).replaceAll('|', '\\|');
      return `| ${optionSyntax(long, spec)} | ${meaning} |`;
    });
    const table = ['', '| Option | Meaning |', '| --- | --- |', ...rows, ''];
    lines.splice(from + 1, to - from - 1, ...table);
  }
  return lines.join('\n');
}

/** Formats a table text, which has no full stop, as a sentence. */
export function sentence(text: string): string {
  const { 1: what = '', 2: byDefault } = /^(.*?)(?: \[default: ([^\]]*)\])?$/.exec(text) ?? [];
  return byDefault === undefined ? `${what}.` : `${what}. The default is ${byDefault}.`;
}

/** Formats an option for a table: `-w`, `--workdir DIR`. */
export function optionSyntax(name: string, spec: OptionSpec): string {
  const value = placeholderOf(spec);
  const long = longNamesOf(name, spec).map((word) => `--${word}`);
  const last = long.pop();
  return [
    ...shortNamesOf(spec).map((letter) => `-${letter}`),
    ...long,
    value === undefined ? last : `${last} ${value}`,
  ]
    .map((word) => `\`${String(word).replaceAll('|', '\\|')}\``)
    .join(', ');
}

export interface Block {
  readonly name: string;
  /** The heading of the options in the help; other blocks have none. */
  readonly group: string | undefined;
  readonly from: number;
  readonly to: number;
  readonly rows: Rows;
}

/**
 * Returns the tables between `<!-- options of NAME: GROUP -->` and `<!-- end -->`, with their
 * lines.
 */
export function blocks(markdown: string): Block[] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, from) => {
    const { 1: name, 2: group } = /^<!-- options of ([\w-]+)(?:: (.+))? -->$/.exec(line) ?? [];
    if (name === undefined) return [];
    const to = lines.indexOf('<!-- end -->', from);
    if (to < 0) throw new Error(`no end of the options of ${name}`);
    const rows = lines
      .slice(from + 1, to)
      .filter((row) => row.startsWith('|'))
      .map(cellsOf);
    return [{ name, group, from, to, rows: rows.slice(2) }];
  });
}

function cellsOf(row: string): string[] {
  return row
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** Returns a cell's text without escapes. */
export function unescaped(cell: string): string {
  return cell.replaceAll('\\|', '|');
}
