import { pathBuffer } from '../fs/path-bytes.js';

/** A command line and environment as a native program gets them. */
export interface PassedWords {
  /** Precede the words. */
  readonly options: readonly string[];
  /** Empty if the program reads them from a descriptor. */
  readonly words: readonly string[];
  /** What follows the other descriptors. */
  readonly stdio: readonly Buffer[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Passes words as arguments and variables as the environment; or through pipes those that are not text, since Node
 * converts both to text.
 *
 * @param option with which the program reads words from a descriptor
 * @param fd the lowest descriptor that it does not have
 */
export function passWords(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  option: string,
  fd: number,
): PassedWords {
  const stdio: Buffer[] = [];
  const pass = (by: string, texts: readonly string[]): readonly string[] => {
    stdio.push(Buffer.concat(texts.map((text) => pathBuffer(`${text}\0`))));
    return [by, String(fd + stdio.length - 1)];
  };
  const variables = Object.entries(env).map((variable) => variable.join('='));
  const areWordsText = areText(words);
  const isEnvText = areText(variables);
  return {
    options: [
      ...(isEnvText ? [] : pass('--environ', variables)),
      ...(areWordsText ? [] : pass(option, words)),
    ],
    words: areWordsText ? words : [],
    stdio,
    env: isEnvText ? env : {},
  };
}

function areText(words: readonly string[]): boolean {
  return words.every((word) => word.isWellFormed());
}
