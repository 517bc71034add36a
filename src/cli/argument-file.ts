import { closeSync, openSync } from 'node:fs';
import { errnoOf, strerror } from '../errors.js';
import { fromBytes, toBytes } from '../fs/path-bytes.js';
import { readUpTo } from '../fs/read-text.js';
import type { AnyCommand } from './command.js';
import { beforeRest, refuse } from './usage.js';

const NAME = '--args';
/** The kernel accepts less for one program (execve(2)). */
const MAX_BYTES = 16 << 20;

/**
 * Replaces each `--args FD|FILE` before `--` by the arguments there, each ended by a NUL, as those of a file
 * are not seen in lists of processes. Files name no further ones.
 *
 * @throws JailbuildError USAGE
 */
export function spliceArguments(command: AnyCommand, argv: readonly string[]): readonly string[] {
  if (!('args' in command.options)) return argv;
  const words = beforeRest(argv);
  if (!words.some((word) => word === NAME || word.startsWith(`${NAME}=`))) return argv;
  const spliced: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    if (word.startsWith(`${NAME}=`)) spliced.push(...read(word.slice(NAME.length + 1), command));
    else if (word === NAME) spliced.push(...read(words[++index], command));
    else spliced.push(word);
  }
  return [...spliced, ...argv.slice(words.length)];
}

function read(source: string | undefined, command: AnyCommand): readonly string[] {
  if (source === undefined || source === '') return refuse(`${NAME} needs a value`, command);
  let bytes: Buffer | undefined;
  try {
    bytes = readSource(source);
  } catch (error) {
    const why =
      errnoOf(error) === 'EBADF' ? 'no descriptor of this number is open' : strerror(error);
    return refuse(`${NAME} ${source}: ${why}`, command);
  }
  if (bytes === undefined)
    return refuse(`${NAME} ${source}: is larger than ${MAX_BYTES} bytes`, command);
  if (bytes.length > 0 && bytes.at(-1) !== 0)
    refuse(`${NAME} ${source}: each argument ends with a NUL byte, also the last one`, command);
  const words = fromBytes(bytes).split('\0').slice(0, -1);
  if (beforeRest(words).some((word) => word === NAME || word.startsWith(`${NAME}=`)))
    refuse(`${NAME} ${source}: ${NAME} cannot be within it`, command);
  return words;
}

/** @returns undefined if it is too large */
function readSource(source: string): Buffer | undefined {
  if (/^\d+$/.test(source)) return readUpTo(Number(source), MAX_BYTES);
  const fd = openSync(toBytes(source), 'r');
  try {
    return readUpTo(fd, MAX_BYTES);
  } finally {
    closeSync(fd);
  }
}
