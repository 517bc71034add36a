import yargs, { type Argv } from 'yargs';
import packageJson from '../../package.json' with { type: 'json' };
import { JailbuildError } from '../errors.js';
import type { AnyCommand, OptionTable } from './command.js';
import { COMMANDS } from './commands.js';
import { EXIT, exitStatusOf } from './exit-status.js';
import { reportError } from './report-error.js';

const SCRIPT = 'jailbuild';

/**
 * Runs one command line.
 *
 * @param argv the words behind the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  let status: number = EXIT.ok;
  try {
    const parser = commandLine((running) => {
      status = running;
    });
    await parser.parseAsync([...argv]);
  } catch (error) {
    reportError(error, argv.includes('--json'));
    status = exitStatusOf(error);
  }
  return status;
}

/** The parser made from the commands' tables. */
export function commandLine(onStatus: (status: number) => void): Argv {
  const parser = yargs()
    .scriptName(SCRIPT)
    .usage('$0 <root> <program..>\n\nBuilds a directory in which the programs really run.')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'populate--': true,
    })
    .detectLocale(false)
    .updateStrings({
      'Not enough non-option arguments: got %s, need at least %s': {
        one: 'an argument is missing: got %s, need at least %s',
        other: 'arguments are missing: got %s, need at least %s',
      },
    } as never)
    .exitProcess(false)
    .strict()
    .version(packageJson.version)
    .help()
    .alias({ help: 'h', version: 'V' })
    .fail((message, error) => {
      if (error) throw error;
      const line = message.replace(/\s+/g, ' ').trim();
      throw new JailbuildError('USAGE', `${line} (see ${SCRIPT} --help)`);
    });
  COMMANDS.forEach((command, index) => {
    addCommand(parser, command, index === 0, onStatus);
  });
  return parser;
}

function addCommand(
  parser: Argv,
  command: AnyCommand,
  isDefault: boolean,
  onStatus: (status: number) => void,
): void {
  const names = [`${command.name} ${command.usage}`, ...(isDefault ? ['$0'] : [])];
  parser.command(
    names,
    command.summary,
    (builder) => {
      for (const [name, positional] of Object.entries(command.positionals)) {
        builder.positional(name, positional);
      }
      builder.options(command.options);
      for (const [line, does] of command.examples) builder.example(`$0 ${line}`, does);
    },
    async (args) => {
      refuseRepeated(args, command.options);
      onStatus(await command.run(args as never));
    },
  );
}

/** yargs makes an array of an option given twice; only those declared so may be. */
function refuseRepeated(args: Readonly<Record<string, unknown>>, options: OptionTable): void {
  for (const [name, { array }] of Object.entries(options)) {
    if (!array && Array.isArray(args[name])) {
      throw new JailbuildError('USAGE', `--${name} is given more than once`);
    }
  }
}
