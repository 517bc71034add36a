import { isTrace, type Sysroot } from '../../fs/sysroot.js';

/** Root directories that may be links on a merged-/usr distribution. */
export const TOP_LINKS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
/** Matches what the merge of /usr put before a path. */
const MERGED = new RegExp(`^/usr(?=(${TOP_LINKS.join('|')})/)`);

/**
 * Returns the names by which a package database may know files: their own paths, and those through
 * the links of a merged /usr, since packages may name files by their paths before the merge.
 *
 * @param paths without links on the way
 * @returns the path by each of its names
 */
export function databaseNames(sysroot: Sysroot, paths: readonly string[]): Map<string, string> {
  const links = TOP_LINKS.flatMap((link) => {
    const trace = sysroot.trace(link);
    return isTrace(trace) && trace.links.length > 0 ? [{ link, to: `${trace.path}/` }] : [];
  });
  const names = new Map<string, string>();
  for (const path of paths) {
    for (const { link, to } of links) {
      if (path.startsWith(to)) names.set(`${link}/${path.slice(to.length)}`, path);
    }
  }
  for (const path of paths) names.set(path, path);
  return names;
}

/** Returns a path as packages from before the merge of /usr name it. */
export function unmerged(path: string): string {
  return path.replace(MERGED, '');
}

/** Returns the text of a file of the sysroot; undefined if there is none. */
export function readIfThere(sysroot: Sysroot, path: string): string | undefined {
  const found = sysroot.trace(path);
  return isTrace(found) && found.stat.type === 'file' ? sysroot.readText(found) : undefined;
}
