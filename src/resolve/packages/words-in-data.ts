import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import { PROGRAM } from '../usage/package-programs.js';

/**
 * Matches data without an extension, or with that of a description. Larger files, in bytes, are not
 * descriptions.
 */
const DATA = /^\/usr\/(share|lib|libexec)\/(.*\/)?([^./]+|[^/]+\.(conf|cfg|desc))$/;
const MAX_DATA = 4 << 10;
/** The maximum number of files of a package that are searched for names of programs. */
const MAX_DATA_FILES = 256;

/**
 * Returns the words in small text files of a package, where a driver of other programs may find
 * their names.
 */
export function wordsInData(probe: Sysroot, paths: readonly string[]): Set<string> {
  const words = new Set<string>();
  let left = MAX_DATA_FILES;
  for (const path of paths) {
    if (left === 0) break;
    if (PROGRAM.test(path) || !DATA.test(path)) continue;
    const trace = probe.trace(path);
    if (!isTrace(trace) || trace.stat.type !== 'file' || trace.stat.size > MAX_DATA) continue;
    left--;
    for (const word of probe.readText(trace).split(/\s+/)) words.add(word);
  }
  return words;
}
