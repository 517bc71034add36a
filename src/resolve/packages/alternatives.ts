import { isTrace, type Sysroot } from '../../fs/sysroot.js';

/** The directory of alternative links. */
export const ALTERNATIVES = '/etc/alternatives';
/** Where update-alternatives(1) keeps its state: on Debian and on Red Hat. */
const STATES = ['/var/lib/dpkg/alternatives', '/var/lib/alternatives'];

/**
 * Returns a function that returns the links to a file that is chosen among alternatives
 * (update-alternatives(1)): `/usr/bin/vim` for `/usr/bin/vim.basic`. No package owns these links.
 */
export function alternativeLinks(sysroot: Sysroot): (path: string) => readonly string[] {
  const names = new Map<string, string[]>();
  const directory = sysroot.trace(ALTERNATIVES);
  if (!isTrace(directory) || directory.stat.type !== 'directory') return () => [];
  for (const name of sysroot.list(directory)) {
    const found = sysroot.trace(`${ALTERNATIVES}/${name}`);
    if (!isTrace(found)) continue;
    const target = found.links.at(-1)?.target;
    for (const path of new Set([found.path, target ?? found.path])) {
      names.set(path, [...(names.get(path) ?? []), name]);
    }
  }
  let places: ReadonlyMap<string, string> | undefined;
  return (path) => {
    const own = names.get(path);
    if (own === undefined) return [];
    // Read on demand, since there are hundreds of files.
    places ??= linkPlaces(sysroot);
    return own.flatMap((name) => places?.get(name) ?? []);
  };
}

/** Reads the path of each link by name: a state line, the path, then pairs of name and path. */
function linkPlaces(sysroot: Sysroot): Map<string, string> {
  const places = new Map<string, string>();
  for (const state of STATES) {
    const directory = sysroot.trace(state);
    if (!isTrace(directory) || directory.stat.type !== 'directory') continue;
    for (const name of sysroot.list(directory)) {
      const found = sysroot.trace(`${directory.path}/${name}`);
      if (!isTrace(found) || found.stat.type !== 'file') continue;
      const [, main, ...lines] = sysroot.readText(found).split('\n');
      if (main !== undefined) places.set(name, main);
      for (let at = 0; at + 1 < lines.length && lines[at] !== ''; at += 2) {
        places.set(lines[at] ?? '', lines[at + 1] ?? '');
      }
    }
  }
  return places;
}
