import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** The maximum number of results that are kept for one question: for different jails. */
const MAX_RESULTS = 3;
/** Shorter texts, in characters, are faster to read as they are. */
const MIN_PACKED = 6_000;

/**
 * Returns the results that are kept for a question, the latest first.
 *
 * @param text of {@link withResult}; undefined if none are kept
 */
export function keptResults<Result>(text: string | undefined): readonly Result[] {
  return text === undefined ? [] : JSON.parse(unpacked(text));
}

/**
 * Returns a result and the latest others that still hold, as text that takes little room in a cache.
 *
 * @param others the results so far; those that the host has outlived are dropped
 * @param most the maximum length of the text in characters
 * @returns undefined if it is longer
 */
export function withResult<Result>(
  result: Result,
  others: readonly Result[],
  holds: (other: Result) => boolean,
  most: number,
): string | undefined {
  const json = JSON.stringify([result, ...others.filter(holds)].slice(0, MAX_RESULTS));
  const text = json.length < MIN_PACKED ? json : deflateRawSync(json).toString('base64');
  return text.length <= most ? text : undefined;
}

/** An array in JSON begins with what is not a character of base64. */
function unpacked(text: string): string {
  return text.startsWith('[') ? text : inflateRawSync(Buffer.from(text, 'base64')).toString();
}
