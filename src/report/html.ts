/**
 * C0 and C1 control characters, direction marks and overrides (Unicode UAX #9), lone surrogates.
 */
const INVISIBLE = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const MARKUP = /[&<>"'`]/;

/**
 * Escapes untrusted text for HTML content and quoted attributes. Control characters, characters
 * that change the direction of text, and bytes that are not UTF-8 become `\xNN` or `\uNNNN`.
 */
export function html(text: string): string {
  let result = '';
  for (const char of text) result += escaped(char);
  return result;
}

function escaped(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (MARKUP.test(char)) return `&#${code};`;
  if (!INVISIBLE.test(char)) return char;
  const isByte = code < 0x100 || (code >= 0xdc80 && code <= 0xdcff);
  return isByte
    ? `\\x${(code & 0xff).toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/**
 * Formats a JSON value for a script element of type application/json; no value can close the
 * element.
 */
export function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
