import type { AnyCommand, OptionSpec } from '../cli/command.js';
import { longNamesOf, placeholderOf, shortNamesOf } from '../cli/option-text.js';

/** Rows of a table in Markdown, each as its cells. */
export type Rows = readonly (readonly string[])[];

/** The first table below a heading. */
export function tableBelow(markdown: string, heading: string): Rows {
  const lines = markdown.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`no ${heading}`);
  const first = lines.findIndex((line, index) => index > from && line.startsWith('|'));
  const end = lines.findIndex((line, index) => index > first && !line.startsWith('|'));
  return lines.slice(first + 2, end < 0 ? undefined : end).map(cellsOf);
}

/**
 * What docs/cli.md says of each option of a command, between its marks, by the option's long name. The
 * words are written by hand; that there is a row for each option, and its first cell, comes from the
 * command's table.
 */
export function optionMeanings(markdown: string, command: AnyCommand): Map<string, string> {
  const block = blocks(markdown).find(({ name }) => name === command.name);
  const meanings = new Map<string, string>();
  for (const [syntax = '', meaning = ''] of block?.rows ?? []) {
    const name = /`--([\w-]+)/.exec(syntax)?.[1];
    if (name !== undefined) meanings.set(name, meaning);
  }
  return meanings;
}

/** An option as it is written, for a table: `-w`, `--workdir DIR`. */
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
  readonly from: number;
  readonly to: number;
  readonly rows: Rows;
}

/** The tables between `<!-- options of NAME -->` and `<!-- end -->`, with where they are, in lines. */
export function blocks(markdown: string): Block[] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, from) => {
    const name = /^<!-- options of ([\w-]+) -->$/.exec(line)?.[1];
    if (name === undefined) return [];
    const to = lines.indexOf('<!-- end -->', from);
    if (to < 0) throw new Error(`no end of the options of ${name}`);
    const rows = lines
      .slice(from + 1, to)
      .filter((row) => row.startsWith('|'))
      .map(cellsOf);
    return [{ name, from, to, rows: rows.slice(2) }];
  });
}

function cellsOf(row: string): string[] {
  return row
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** A cell's text as it reads. */
export function unescaped(cell: string): string {
  return cell.replaceAll('\\|', '|');
}
