import { isTrace, type Sysroot } from '../../fs/sysroot.js';

const LINKS = '/etc/alternatives';
/** Where update-alternatives(1) keeps what it knows: Debian's place and Red Hat's. */
const STATES = ['/var/lib/dpkg/alternatives', '/var/lib/alternatives'];

/**
 * Returns the links by which users know files that are chosen among alternatives
 * (update-alternatives(1)): `/usr/bin/vim` by `/usr/bin/vim.basic`. No package has these links.
 */
export function alternativeLinks(sysroot: Sysroot): Map<string, string[]> {
  const links = new Map<string, string[]>();
  const places = linkPlaces(sysroot);
  const directory = sysroot.trace(LINKS);
  if (!isTrace(directory) || directory.stat.type !== 'directory') return links;
  for (const name of sysroot.list(directory)) {
    const place = places.get(name);
    const found = sysroot.trace(`${LINKS}/${name}`);
    if (place === undefined || !isTrace(found)) continue;
    const target = found.links.at(-1)?.target;
    for (const path of new Set([found.path, target ?? found.path])) {
      links.set(path, [...(links.get(path) ?? []), place]);
    }
  }
  return links;
}

/** The path of each link by its name: a line of the state, the path, then pairs of them. */
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
