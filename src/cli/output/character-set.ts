/**
 * Whether lines and marks beyond ASCII may be printed: unless the locale says another character set
 * than UTF-8 (locale(7), setlocale(3): the first of the three that is not empty counts). Without any,
 * as in most containers, the terminal decides, and nearly all of them are UTF-8.
 */
export function printsUnicode(env: NodeJS.ProcessEnv = process.env): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  return locale === undefined || locale === '' || /\.utf-?8(@|$)/i.test(locale);
}
