import { pathBuffer } from '../fs/path-bytes.js';

/** Words as a native program gets them. */
export interface PassedWords {
  readonly args: readonly string[];
  /** What follows the other descriptors. */
  readonly stdio: readonly Buffer[];
}

/** Returns whether all words are text: Node converts arguments and variables to that. */
export function areText(words: readonly string[]): boolean {
  return words.every((word) => word.isWellFormed());
}

/**
 * Passes words as arguments, or through a pipe if they have other bytes than text.
 *
 * @param option with which the program reads words from a descriptor
 * @param fd the lowest descriptor that it does not have
 */
export function passWords(words: readonly string[], option: string, fd: number): PassedWords {
  if (areText(words)) return { args: words, stdio: [] };
  const bytes = Buffer.concat(words.map((word) => pathBuffer(`${word}\0`)));
  return { args: [option, String(fd)], stdio: [bytes] };
}
