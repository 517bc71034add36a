import yargs from 'yargs';
import type { AnyCommand, OptionSpec } from './command.js';
import { COMMON_OPTIONS, choicesOf, spellings } from './option-text.js';
import { beforeRest, type Parsed, refuse, refuseUnknownOption } from './usage.js';

const SCRIPT = 'jailbuild';

/**
 * Parses words by a command's tables; ./usage.ts checks the result. The command is registered as the
 * parser's default command: for named commands yargs prepares help texts (60 ms).
 *
 * @param argv the words without the command's name
 * @throws JailbuildError USAGE
 */
export async function parseWords(command: AnyCommand, argv: readonly string[]): Promise<Parsed> {
  const words = beforeRest(argv);
  let running: AnyCommand | undefined;
  let parsed: Parsed = {};
  const parser = yargs()
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
      (taken) => {
        parsed = taken;
      },
    );
  await parser.parseAsync(argv);
  return parsed;
}

/** Returns whether words may contain an option: registering those that do not occur takes 2 ms. */
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

/** Converts an option for yargs; choices are checked by ./usage.ts, with better messages. */
function parsing(option: OptionSpec): OptionSpec {
  if (choicesOf(option) === undefined) return option;
  const { choices, ...rest } = option;
  return { type: 'string', requiresArg: true, ...rest };
}

/** Rewords an error of yargs with the names that the user knows. */
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
  if (exclusive !== null) return `--${exclusive[1]} and --${exclusive[2]} cannot be combined`;
  const demanded = /^Missing required arguments?: (\S+)/.exec(message.trim())?.[1];
  if (demanded !== undefined) return `--${demanded.replace(',', '')} is missing`;
  return message.replace(/\s+/g, ' ').trim();
}
