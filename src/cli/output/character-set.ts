/**
 * Returns whether characters beyond ASCII may be printed: unless the locale sets a character set
 * other than UTF-8 (locale(7), setlocale(3): the first non-empty of three variables is used).
 * Without a locale, as in most containers, the terminal decides, and nearly all use UTF-8.
 */
export function printsUnicode(env: NodeJS.ProcessEnv = process.env): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  return locale === undefined || locale === '' || /\.utf-?8(@|$)/i.test(locale);
}
