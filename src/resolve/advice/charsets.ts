/** Names of character sets that glibc converts with a module, as programs write them. */
const NAMES = [
  ...['ISO-8859-1', 'ISO_8859-1', 'ISO8859-1', 'iso-8859-1', 'LATIN1', 'latin1', 'Latin-1'],
  ...['ISO-8859-2', 'ISO-8859-15', 'CP1252', 'WINDOWS-1252', 'windows-1252', 'CP437', 'KOI8-R'],
  ...['UTF-16', 'UTF-16LE', 'UTF-16BE', 'EUC-JP', 'SHIFT_JIS', 'GB18030', 'BIG5'],
];

/**
 * Returns the only character set that a program mentions, from or to which it rather converts by
 * itself. Programs that know more have tables of them, and need those of their input.
 */
export function ownCharset(mentions: (name: string) => boolean): string | undefined {
  let only: string | undefined;
  for (const name of NAMES) {
    if (!mentions(name)) continue;
    if (only !== undefined) return undefined;
    only = name;
  }
  return only;
}
