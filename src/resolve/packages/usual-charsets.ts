import { LANGUAGES } from '../../evidence/packages/families.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import type { PackageSources } from './added-files.js';

/**
 * Character sets that programs with iconv commonly use, among them those of names in FAT and zip;
 * all of glibc's modules have 8 MB.
 */
const USUAL_CHARSETS = [
  ...['ISO-8859-1', 'ISO-8859-15', 'UTF-16', 'UTF-32'],
  ...['CP437', 'CP850', 'CP1252'],
];

/**
 * Returns the usual character sets if objects convert text by iconv(3), or if a library of a
 * language does, which takes text for ISO 8859-1 where there is no locale; otherwise none.
 */
export function usualCharsets(
  objects: readonly Trace[],
  { sysroot, closure, database }: PackageSources,
): readonly string[] {
  const converts = ({ stat }: Trace) =>
    closure.read(stat.identity).facts?.imports.includes('iconv_open') === true;
  if (objects.some(converts)) return USUAL_CHARSETS;
  for (const [path, owners] of database.ownersOf(closure.withReason('needed'))) {
    if (!owners.some(({ section }) => LANGUAGES.test(section ?? ''))) continue;
    const library = sysroot.trace(path);
    if (isTrace(library) && converts(library)) return USUAL_CHARSETS;
  }
  return [];
}
