/** Escapes a field so that a colon in it does not end it: a backslash precedes colons and backslashes. */
export function escapeColons(field: string): string {
  return field.replace(/[\\:]/g, '\\$&');
}

/**
 * Splits a text at its first colon without a backslash before it.
 *
 * @returns the field before it without escapes, and the rest as it is; undefined if there is no such colon
 */
export function splitAtColon(text: string): readonly [field: string, rest: string | undefined] {
  const [escaped = ''] = /^(?:\\[\\:]|[^:])*/.exec(text) ?? [];
  const rest = escaped.length < text.length ? text.slice(escaped.length + 1) : undefined;
  return [escaped.replace(/\\([\\:])/g, '$1'), rest];
}
