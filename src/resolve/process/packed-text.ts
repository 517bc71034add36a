import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** Shorter texts, in characters, are faster to read as they are. */
const MIN_PACKED = 6_000;

/** Returns a JSON array as text that takes little room in a cache. */
export function packed(json: string): string {
  return json.length < MIN_PACKED ? json : deflateRawSync(json).toString('base64');
}

/** Returns the array of {@link packed}. An array in JSON begins with what is not a character of base64. */
export function unpacked(text: string): string {
  return text.startsWith('[') ? text : inflateRawSync(Buffer.from(text, 'base64')).toString();
}
