import { unmerged } from '../../evidence/packages/aliases.js';
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
  let names: ReadonlyMap<string, readonly string[]> | undefined;
  const placeOf = linkPlaces(sysroot);
  return (path) => {
    // Links and packages have paths from before or after the merge of /usr.
    names ??= namesByTarget(sysroot);
    return (names.get(unmerged(path)) ?? []).flatMap((name) => placeOf(name) ?? []);
  };
}

function namesByTarget(sysroot: Sysroot): Map<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  const directory = sysroot.trace(ALTERNATIVES);
  if (!isTrace(directory) || directory.stat.type !== 'directory') return names;
  // Following hundreds of links to their ends takes long, and few of them lead to what is asked for.
  for (const [name, link] of sysroot.linksIn(directory)) {
    const target = unmerged(link);
    names.set(target, [...(names.get(target) ?? []), name]);
  }
  return names;
}

/**
 * Returns, for the name of a link, its path. A file of the state has the name of its main link and the path of that in
 * its second line, and then pairs of the names and paths of those that go with it.
 */
function linkPlaces(sysroot: Sysroot): (name: string) => string | undefined {
  const main = (name: string) => {
    for (const state of STATES) {
      const [, place] = linesOf(sysroot, `${state}/${name}`);
      if (place !== undefined) return place;
    }
    return undefined;
  };
  let others: ReadonlyMap<string, string> | undefined;
  return (name) => {
    const place = main(name);
    if (place !== undefined) return place;
    // There are hundreds of files to read.
    others ??= otherPlaces(sysroot);
    return others.get(name);
  };
}

function otherPlaces(sysroot: Sysroot): Map<string, string> {
  const places = new Map<string, string>();
  for (const state of STATES) {
    const directory = sysroot.trace(state);
    if (!isTrace(directory) || directory.stat.type !== 'directory') continue;
    for (const name of sysroot.list(directory)) {
      const [, , ...lines] = linesOf(sysroot, `${directory.path}/${name}`);
      for (let at = 0; at + 1 < lines.length && lines[at] !== ''; at += 2) {
        places.set(lines[at] ?? '', lines[at + 1] ?? '');
      }
    }
  }
  return places;
}

function linesOf(sysroot: Sysroot, path: string): string[] {
  const found = sysroot.trace(path);
  if (!isTrace(found) || found.stat.type !== 'file') return [];
  return sysroot.readText(found).split('\n');
}
