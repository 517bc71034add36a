import { existsSync } from 'node:fs';
import packageJson from '../../package.json' with { type: 'json' };
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { debDirectory } from '../image/deb-directory.js';
import { isImageReference } from '../image/reference.js';
import { nearest } from '../text/suggest.js';
import { spliceArguments } from './argument-file.js';
import type { AnyCommand } from './command.js';
import { COMMAND_GROUPS, COMMANDS } from './commands/index.js';
import { EXIT, exitStatusOf } from './exit-status.js';
import { spellings, takesValue } from './option-text.js';
import { findJailFile } from './options/jail-file.js';
import { writeErr, writeOut } from './output/output.js';
import { parsePlainWords } from './plain-words.js';
import { reportError } from './report-error.js';
import { beforeRest, checkArguments, type Parsed, refuse } from './usage.js';

/**
 * Runs one command line.
 *
 * @param argv the words behind the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await runLine(argv);
  } catch (thrown) {
    const error = ofSystem(thrown);
    reportError(error, beforeRest(argv).includes('--json'));
    return exitStatusOf(error);
  }
}

/** Errors of Node that stem from user input or the environment. */
function ofSystem(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if ('syscall' in error && error.syscall === 'uv_cwd') {
    return new JailbuildError(
      'NOT_READABLE',
      'the working directory is gone: change to another one',
    );
  }
  if (
    'code' in error &&
    error.code === 'ERR_INVALID_ARG_VALUE' &&
    /null bytes/.test(error.message)
  ) {
    return new JailbuildError('USAGE', 'a path contains a NUL byte: remove it');
  }
  // A file vanished meanwhile: the system error is for the user.
  if (errnoOf(error) !== undefined && 'syscall' in error && 'path' in error) {
    const path = String(error.path).replace(/^\/proc\/self\/fd\/\d+\//, '');
    const isFull = /^(ENOSPC|EDQUOT|EROFS|EFBIG)$/.test(errnoOf(error) ?? '');
    const message = `${path}: ${strerror(error)} (${error.syscall})`;
    return new JailbuildError(isFull ? 'WRITE_FAILED' : 'NOT_READABLE', message, path, {
      cause: error,
    });
  }
  return error;
}

async function runLine(argv: readonly string[]): Promise<number> {
  const words = beforeRest(argv);
  if (argv.length === 0 && findJailFile() === undefined) {
    const { shortHelp } = await import('./help.js');
    writeErr(shortHelp(COMMAND_GROUPS));
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
  const rest = spliceArguments(
    command,
    argv.filter((_, index) => index !== at),
  );
  const parsed = parsePlainWords(command, rest) ?? (await parseAnyWords(command, rest));
  checkArguments(command, parsed, rest);
  if (parsed.help) return showHelp(words);
  return command.run((await withUnpackedSysroot(parsed)) as never);
}

/** Unpacks images and packages given as a root directory, and uses the result as the root. */
async function withUnpackedSysroot(parsed: Parsed): Promise<Parsed> {
  const { sysroot } = parsed;
  if (typeof sysroot !== 'string') return parsed;
  if (!isImageReference(sysroot) && debDirectory(sysroot) === undefined) return parsed;
  const { unpackedSysroot } = await import('./options/sysroot.js');
  return { ...parsed, ...(await unpackedSysroot(sysroot, parsed)) };
}

/** yargs takes several milliseconds to load, and as much to parse. */
async function parseAnyWords(command: AnyCommand, words: readonly string[]): Promise<Parsed> {
  const { parseWords } = await import('./parse-words.js');
  return parseWords(command, words);
}

/** `help` and `help COMMAND`; before anything else, it is a target. */
function asksForHelp([first, about, ...more]: readonly string[]): boolean {
  if (first !== 'help' || more.length > 0) return false;
  return about === undefined || COMMANDS.some(({ name }) => name === about);
}

async function showHelp(words: readonly string[]): Promise<number> {
  const { commandHelp, programHelp } = await import('./help.js');
  const command = namedCommand(words)?.command;
  writeOut(
    command === undefined
      ? programHelp(COMMAND_GROUPS)
      : commandHelp(command, command === COMMANDS[0]),
  );
  return EXIT.ok;
}

/** Returns the command named by the first word that is neither an option nor an option's value. */
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

/** A first word that is not a command is a target, even if a command was meant. */
function refuseMisspeltCommand(word: string | undefined): void {
  if (word === undefined || /^-|\//.test(word)) return;
  const names = COMMANDS.map(({ name }) => name);
  if (names.includes(word) || existsSync(word)) return;
  const command = nearest(word, names, 1);
  if (command === undefined || command[0] !== word[0]) return;
  refuse(
    `no command ${word}; did you mean ${command}? To create a directory of that name, write ./${word}`,
  );
}
