import type { Manifest, Reason } from '../../manifest/manifest.js';

/** Where programs, libraries and loader configuration are searched (hier(7), ld.so(8)). */
const TREES = [
  ...['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/libexec'],
  ...['/usr/bin', '/usr/sbin', '/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libx32'],
  ...['/usr/libexec', '/usr/local/bin', '/usr/local/sbin', '/usr/local/lib'],
  '/etc/ld.so.conf.d',
];

/** Files outside these trees that can redirect a loader or a name service. */
const FILES = new Set([
  ...['/etc/ld.so.preload', '/etc/ld.so.conf', '/etc/ld.so.cache', '/etc/nsswitch.conf'],
]);

/** Parents of the trees: write access here allows replacing a whole tree. */
const ABOVE = ['', '/usr', '/usr/local', '/etc'];

const CODE: ReadonlySet<Reason['kind']> = new Set([
  ...(['requested', 'needed', 'interpreter', 'dlopen', 'nss-module', 'hwcaps'] as const),
]);

/** Directories of a jail in which only planned files may exist. */
export class SystemDirectories {
  readonly #trees: ReadonlySet<string>;
  /** Other directories that contain planned programs or libraries. */
  readonly #holders: ReadonlySet<string>;

  constructor({ entries }: Manifest) {
    this.#trees = new Set(TREES);
    this.#holders = new Set(
      entries
        .filter(({ reasons }) => reasons.some(({ kind }) => CODE.has(kind)))
        .map(({ path }) => path.slice(0, path.lastIndexOf('/'))),
    );
  }

  /** Returns whether an unplanned file at this path is foreign. */
  mayNotHold(path: string): boolean {
    const parent = path.slice(0, path.lastIndexOf('/'));
    return FILES.has(path) || this.#holders.has(parent) || this.#isInTree(parent);
  }

  /** Returns whether only root may write to this directory. */
  isSystem(directory: string): boolean {
    return ABOVE.includes(directory) || this.#holders.has(directory) || this.#isInTree(directory);
  }

  #isInTree(directory: string): boolean {
    for (let at = directory; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      if (this.#trees.has(at)) return true;
    }
    return false;
  }
}
