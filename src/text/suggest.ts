import { closest, distance } from 'fastest-levenshtein';

/** In characters; shorter prefixes match too many words. */
const MIN_BEGINNING = 3;

/** Returns `; did you mean X?` if a known word is similar or has the same start, otherwise ''. */
export function didYouMean(word: string, known: readonly string[], prefix = ''): string {
  const near = nearest(word, known, word.length > 4 ? 2 : 1) ?? completed(word, known);
  return near === undefined ? '' : `; did you mean ${prefix}${near}?`;
}

/** Returns the only known word that starts with this one. */
function completed(word: string, known: readonly string[]): string | undefined {
  const found = known.filter((other) => other.startsWith(word));
  return word.length >= MIN_BEGINNING && found.length === 1 ? found[0] : undefined;
}

/**
 * Returns the nearest known word within a number of edits; a swap of two adjacent letters is one
 * edit.
 */
export function nearest(word: string, known: readonly string[], edits: number): string | undefined {
  if (known.length === 0) return undefined;
  const swapped = known.find((other) => isSwap(word, other));
  if (swapped !== undefined) return swapped;
  const near = closest(word, [...known]);
  return distance(word, near) <= edits ? near : undefined;
}

function isSwap(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  const at = [...a].findIndex((char, index) => char !== b[index]);
  return at >= 0 && b === a.slice(0, at) + a.charAt(at + 1) + a.charAt(at) + a.slice(at + 2);
}
