import type { AnyCommand, OptionSpec } from '../cli/command.js';
import { synopsis } from '../cli/help.js';
import {
  COMMON_OPTIONS,
  describeValue,
  groupedOptions,
  longNamesOf,
  placeholderOf,
  shortNamesOf,
} from '../cli/option-text.js';
import {
  optionMeanings,
  sentence as plainSentence,
  tableBelow,
  unescaped,
} from './cli-reference.js';
import {
  bold,
  italic,
  roffCode,
  roffLines,
  roffSentence,
  roffUsage,
  tagged,
  titleLine,
} from './roff.js';

/** Texts about the program as a whole. */
const NAME = 'build a root file system with everything that programs need to run';
const DESCRIPTION = [
  '`jailbuild` builds a root directory for chroot(2), a container or an initramfs that contains the ' +
    'programs you name and everything they need. It reads each ELF file, never runs it, and finds ' +
    'libraries and interpreters as the dynamic loader does. It copies them all, recording why each file ' +
    'is needed, and then resolves every program again inside the result.',
  'The first word is a command; without one, the command is `build`. If the target directory has the name ' +
    'of a command, write it with a slash: `./run`.',
];

/** Returns the manual page jailbuild(1), from the command tables and the texts of docs/cli.md. */
export function jailbuildPage(
  commands: readonly AnyCommand[],
  reference: string,
  date: string,
  version: string,
): string {
  return [
    titleLine('jailbuild', date, version),
    `.SH NAME\njailbuild \\- ${NAME}\n`,
    `.SH SYNOPSIS\n.nh\n${commands.map((command, index) => usageLine(command, index === 0)).join('')}.hy\n`,
    `.SH DESCRIPTION\n${paragraphs(DESCRIPTION)}`,
    '.SH COMMANDS\n',
    ...commands.map((command) => commandSection(command, optionMeanings(reference, command))),
    '.SH OPTIONS\nEvery command has these.\n',
    ...Object.entries(COMMON_OPTIONS).map(([name, spec]) => optionEntry(name, spec)),
    '.SH EXIT STATUS\n',
    ...tableBelow(reference, '## Exit status').map(([status = '', meaning = '']) =>
      tagged(bold(unescaped(status)), roffSentence(unescaped(meaning))),
    ),
    '.SH ENVIRONMENT\n',
    ...tableBelow(reference, '## Environment').map(([name = '', meaning = '']) =>
      tagged(bold(name.replaceAll('`', '')), roffSentence(unescaped(meaning))),
    ),
    '.SH EXAMPLES\n',
    commands
      .flatMap(({ examples }) => examples)
      .map(exampleEntry)
      .join('.PP\n'),
    '.SH SEE ALSO\n',
    `${['invoke_ns(1)', 'chroot(2)', 'namespaces(7)', 'ld.so(8)', 'elf(5)'].map(pageName).join(',\n')}\n`,
  ].join('');
}

function usageLine(command: AnyCommand, isDefault: boolean): string {
  const [program = '', name = '', ...rest] = synopsis(command, isDefault).split(' ');
  const shown = isDefault ? `[${bold(command.name)}]` : bold(name);
  return `.HP\n${bold(program)} ${shown} ${roffUsage(rest.join(' '))}\n`;
}

function commandSection(command: AnyCommand, meanings: ReadonlyMap<string, string>): string {
  const { name, summary, description = [], positionals, rest, options, exits = [] } = command;
  const groups = [...groupedOptions(options)];
  return [
    `.SS jailbuild ${roffCode(name)}\n${roffSentence(summary)}.\n`,
    ...description.map((paragraph) => `.PP\n${roffLines(roffSentence(paragraph))}\n`),
    ...Object.entries(positionals).map(([positional, spec]) =>
      tagged(italic(positional), sentence(describeValue(spec))),
    ),
    ...(rest === undefined
      ? []
      : [
          tagged(
            `\\fB\\-\\-\\fR ${roffUsage(rest.placeholder ?? 'argument..')}`,
            sentence(rest.describe),
          ),
        ]),
    ...groups.flatMap(([heading, entries]) => [
      ...(groups.length > 1 ? [`.PP\n${italic(`${heading}:`)}\n`] : []),
      ...entries.map(([long, spec]) => optionEntry(long, spec, meanings.get(long))),
    ]),
    ...exits.map(([status, meaning]) => tagged(`Exit status ${bold(status)}`, sentence(meaning))),
  ].join('');
}

function optionEntry(name: string, spec: OptionSpec, meaning?: string): string {
  const value = placeholderOf(spec);
  const words = [
    ...shortNamesOf(spec).map((letter) => bold(`-${letter}`)),
    ...longNamesOf(name, spec).map((long) => bold(`--${long}`)),
  ].join(', ');
  const text =
    meaning === undefined || meaning === ''
      ? sentence(describeValue(spec))
      : roffSentence(unescaped(meaning));
  return tagged(value === undefined ? words : `${words} ${italic(value)}`, text);
}

/** Formats a table text as a sentence in roff. */
function sentence(text: string): string {
  return roffSentence(plainSentence(text));
}

function exampleEntry([line, does]: readonly [string, string]): string {
  return `${roffLines(`${roffSentence(does)}:`)}\n.PP\n.RS 4\n.nf\n${roffCode(`jailbuild ${line}`)}\n.fi\n.RE\n`;
}

function paragraphs(texts: readonly string[]): string {
  return texts.map((text) => `${roffLines(roffSentence(text))}\n`).join('.PP\n');
}

function pageName(name: string): string {
  const { 1: page = '', 2: section = '' } = /^(.+)(\(\d\))$/.exec(name) ?? [];
  return `\\fB${page}\\fR${section}`;
}
