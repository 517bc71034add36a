import type { AnyCommand, CommandGroup, OptionSpec } from './command.js';
import {
  COMMON_OPTIONS,
  describeValue,
  groupedOptions,
  longNamesOf,
  placeholderOf,
  shortNamesOf,
} from './option-text.js';

const PROGRAM = 'jailbuild';
const WIDTH = 80;
/** The widest left column, in characters; longer terms get a line of their own. */
const LEFT = 24;

type Row = readonly [left: string, right: string];

/** Returns the help of `jailbuild` without arguments. The first command is the default. */
export function shortHelp(groups: readonly CommandGroup[]): string {
  return page([
    ...overview(groups),
    ...defaultCommand(groups).flatMap(examplesOf),
    ...wrap(
      `"${PROGRAM} --help" lists the options of a build, "${PROGRAM} COMMAND --help" those of a command.`,
    ),
  ]);
}

/** Returns the help of `jailbuild --help`: the commands, and the full help of the default command. */
export function programHelp(groups: readonly CommandGroup[]): string {
  return page([
    ...overview(groups),
    ...defaultCommand(groups).flatMap(details),
    ...wrap(`"${PROGRAM} COMMAND --help" lists the options of the other commands.`),
  ]);
}

/** Returns the help of one command. */
export function commandHelp(command: AnyCommand, isDefault: boolean): string {
  return page([
    ...usage(command, isDefault),
    '',
    ...wrap(`${command.summary}.`),
    '',
    ...details(command),
  ]);
}

/** Returns a command's usage line, such as `jailbuild run <root> [options] [-- command..]`. */
export function synopsis(command: AnyCommand, isDefault: boolean): string {
  return [
    PROGRAM,
    isDefault ? `[${command.name}]` : command.name,
    command.usage,
    '[options]',
    restSynopsis(command),
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** Breaks words into lines of at most `width` columns; a longer word gets its own line. */
export function wrap(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function defaultCommand(groups: readonly CommandGroup[]): readonly AnyCommand[] {
  return groups[0]?.commands.slice(0, 1) ?? [];
}

function overview(groups: readonly CommandGroup[]): string[] {
  const rows = groups.flatMap(({ commands }) => commands.map(({ name }) => name.length));
  const column = Math.max(0, ...rows) + 4;
  return [
    ...defaultCommand(groups).flatMap((command) => usage(command, true)),
    `       ${PROGRAM} COMMAND [argument..]`,
    '',
    ...wrap(
      'Builds a root file system that contains everything the programs you name need to run.',
    ),
    '',
    ...groups.flatMap(({ heading, commands }) =>
      section(
        heading,
        commands.map(({ name, summary }) => [name, summary]),
        column,
      ),
    ),
  ];
}

function details(command: AnyCommand): string[] {
  const { positionals, rest, description = [], exits = [] } = command;
  const values = Object.entries(positionals).map(
    ([name, spec]): Row => [name, describeValue(spec)],
  );
  if (rest !== undefined) values.push([restSynopsis(command), rest.describe]);
  const groups = [...groupedOptions({ ...command.options, ...COMMON_OPTIONS })];
  return [
    ...description.flatMap((paragraph) => [...wrap(paragraph), '']),
    ...section('Arguments', values),
    ...groups.flatMap(([heading, options]) => section(heading, options.map(optionRow))),
    ...section('Exit status', exits),
    ...examplesOf(command),
  ];
}

function examplesOf({ examples }: AnyCommand): string[] {
  if (examples.length === 0) return [];
  return [
    'Examples:',
    ...examples.flatMap(([line, does]) => [`  # ${does}`, `  ${PROGRAM} ${line}`]),
    '',
  ];
}

function restSynopsis({ rest }: AnyCommand): string {
  if (rest === undefined) return '';
  const { placeholder = 'argument..' } = rest;
  return placeholder.startsWith('[') ? `[-- ${placeholder.slice(1)}` : `-- ${placeholder}`;
}

function usage(command: AnyCommand, isDefault: boolean): string[] {
  const [first = '', ...more] = wrap(synopsis(command, isDefault), WIDTH - 9);
  return [`Usage: ${first}`, ...more.map((line) => `         ${line}`)];
}

function optionRow([name, spec]: readonly [string, OptionSpec]): Row {
  const short = shortNamesOf(spec).map((letter) => `-${letter}, `);
  const long = longNamesOf(name, spec).map((word) => `--${word}`);
  const value = placeholderOf(spec);
  const left = `${short.join('').padStart(4)}${long.join(', ')}`;
  return [value === undefined ? left : `${left} ${value}`, describeValue(spec)];
}

/** @param column where the right column begins, where sections are to be in line */
function section(heading: string, rows: readonly Row[], column = columnOf(rows)): string[] {
  if (rows.length === 0) return [];
  const lines = rows.flatMap(([left, right]) => {
    const [first = '', ...more] = wrap(right, WIDTH - column);
    const head = `  ${left}`;
    const indented = more.map((line) => ' '.repeat(column) + line);
    return left.length <= LEFT
      ? [`${head.padEnd(column)}${first}`, ...indented]
      : [head, ' '.repeat(column) + first, ...indented];
  });
  return [`${heading}:`, ...lines, ''];
}

function columnOf(rows: readonly Row[]): number {
  const fitting = rows.map(([left]) => left.length).filter((length) => length <= LEFT);
  return Math.max(0, ...fitting) + 4;
}

function page(lines: readonly string[]): string {
  return `${lines.join('\n').trimEnd()}\n`;
}
