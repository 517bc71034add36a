import { existsSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import packageJson from '../../package.json' with { type: 'json' };
import { nearest } from '../text/suggest.js';
import type { AnyCommand, OptionSpec } from './command.js';
import { COMMANDS } from './commands/index.js';
import { EXIT, exitStatusOf } from './exit-status.js';
import { COMMON_OPTIONS, choicesOf, spellings, takesValue } from './option-text.js';
import { findJailFile } from './options/jail-file.js';
import { writeErr, writeOut } from './output/output.js';
import { reportError } from './report-error.js';
import { beforeRest, checkArguments, type Parsed, refuse, refuseUnknownOption } from './usage.js';

const SCRIPT = 'jailbuild';

/**
 * Runs one command line.
 *
 * @param argv the words behind the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await runLine(argv);
  } catch (error) {
    reportError(error, beforeRest(argv).includes('--json'));
    return exitStatusOf(error);
  }
}

async function runLine(argv: readonly string[]): Promise<number> {
  const words = beforeRest(argv);
  if (argv.length === 0 && findJailFile() === undefined) {
    const { shortHelp } = await import('./help.js');
    writeErr(shortHelp(COMMANDS));
    return EXIT.usage;
  }
  if (words.some((word) => word === '-h' || word === '--help')) return showHelp(words);
  if (asksForHelp(argv)) return showHelp(argv.slice(1));
  if (words.some((word) => word === '-V' || word === '--version')) {
    writeOut(`${packageJson.version}\n`);
    return EXIT.ok;
  }
  refuseMisspeltCommand(words[0]);
  const { command, at } = namedCommand(words) ?? { command: COMMANDS[0], at: -1 };
  if (command === undefined) throw new Error('there are no commands');
  let status: number = EXIT.ok;
  const parser = commandLine(command, words, (running) => {
    status = running;
  });
  await parser.parseAsync(argv.filter((_, index) => index !== at));
  return status;
}

/** `help` and `help COMMAND`, as many programs have it. With anything else it is a target. */
function asksForHelp([first, about, ...more]: readonly string[]): boolean {
  if (first !== 'help' || more.length > 0) return false;
  return about === undefined || COMMANDS.some(({ name }) => name === about);
}

async function showHelp(words: readonly string[]): Promise<number> {
  const { commandHelp, programHelp } = await import('./help.js');
  const command = namedCommand(words)?.command;
  writeOut(
    command === undefined ? programHelp(COMMANDS) : commandHelp(command, command === COMMANDS[0]),
  );
  return EXIT.ok;
}

/** The command that the first word names which is neither an option nor an option's value. */
function namedCommand(
  words: readonly string[],
): { readonly command: AnyCommand; readonly at: number } | undefined {
  const at = words[0]?.startsWith('-') ? firstArgument(words) : 0;
  const command = COMMANDS.find(({ name }) => name === words[at]);
  return command === undefined ? undefined : { command, at };
}

function firstArgument(words: readonly string[]): number {
  const valued = new Set(
    COMMANDS.flatMap(({ options }) =>
      Object.entries(options).flatMap(([name, spec]) =>
        takesValue(spec) ? spellings(name, spec) : [],
      ),
    ),
  );
  return words.findIndex((word, index) => {
    const before = words[index - 1];
    return !word.startsWith('-') && (before === undefined || !valued.has(before));
  });
}

/** A first word that is no command is a target, even where it was meant to be a command. */
function refuseMisspeltCommand(word: string | undefined): void {
  if (word === undefined || /^-|\//.test(word)) return;
  const names = COMMANDS.map(({ name }) => name);
  if (names.includes(word) || existsSync(word)) return;
  const command = nearest(word, names, 1);
  if (command === undefined || command[0] !== word[0]) return;
  refuse(`no command ${word}; did you mean ${command}? A new directory is written ./${word}`);
}

/**
 * The parser made from a command's tables. It takes words apart; ./usage.ts checks them. The command is
 * its default one, for with others it prepares the text of their help (60 ms), and those that are not
 * run would be registered for nothing.
 */
function commandLine(
  command: AnyCommand,
  words: readonly string[],
  onStatus: (status: number) => void,
): Argv {
  let running: AnyCommand | undefined;
  return yargs()
    .scriptName(SCRIPT)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'populate--': true,
    })
    .detectLocale(false)
    .exitProcess(false)
    .version(false)
    .help(false)
    .options(COMMON_OPTIONS)
    .fail((message, error) => {
      // The parser's own errors have this name; any other is a command's.
      if (error && error.name !== 'YError') throw error;
      if (running !== undefined) refuseUnknownOption(words, running);
      refuse(complaint(error?.message ?? message, running), running);
    })
    .command(
      `$0 ${command.usage}`.trim(),
      command.summary,
      (builder) => {
        running = command;
        for (const [name, { choices, ...positional }] of Object.entries(command.positionals)) {
          builder.positional(name, positional);
        }
        const flags = words.filter((word) => word.startsWith('-'));
        for (const [name, option] of Object.entries(command.options)) {
          if (option.default === undefined && !mayBeAmong(flags, name, option)) continue;
          builder.option(name, parsing(option));
        }
      },
      async (parsed) => {
        checkArguments(command, parsed as Parsed);
        onStatus(parsed.help ? await showHelp(words) : await command.run(parsed as never));
      },
    );
}

/** Whether words with dashes may have an option in them: to register the others takes 2 ms. */
function mayBeAmong(flags: readonly string[], name: string, option: OptionSpec): boolean {
  if (flags.length === 0) return false;
  return spellings(name, option).some((spelling) =>
    flags.some((flag) =>
      spelling.startsWith('--')
        ? flag.startsWith(spelling)
        : !flag.startsWith('--') && flag.includes(spelling.slice(1)),
    ),
  );
}

/** An option as yargs is told of it: choices are checked by ./usage.ts, in words for people. */
function parsing(option: OptionSpec): OptionSpec {
  if (choicesOf(option) === undefined) return option;
  const { choices, ...rest } = option;
  return { type: 'string', requiresArg: true, ...rest };
}

/** What yargs complains of, with the names that the user knows. */
function complaint(message: string, command: AnyCommand | undefined): string {
  const valueless = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  if (valueless !== undefined) return `--${valueless} needs a value`;
  const missing = /^Not enough non-option arguments: got (\d+)/.exec(message)?.[1];
  if (missing !== undefined && command !== undefined) {
    // As the usage line has them: `<root>`, `<program..>`.
    const name = command.usage.match(/<[^>]+>/g)?.[Number(missing)];
    if (name !== undefined) return `${name} is missing`;
  }
  const exclusive = /^Arguments (\S+) and (\S+) are mutually exclusive/.exec(message.trim());
  if (exclusive !== null) return `--${exclusive[1]} and --${exclusive[2]} exclude each other`;
  const demanded = /^Missing required arguments?: (\S+)/.exec(message.trim())?.[1];
  if (demanded !== undefined) return `--${demanded.replace(',', '')} is missing`;
  return message.replace(/\s+/g, ' ').trim();
}
