import type { Manifest, Reason } from '../../manifest/manifest.js';

/** Where programs, libraries and the loader's configuration are looked for (hier(7), ld.so(8)). */
const TREES = [
  ...['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/libexec'],
  ...['/usr/bin', '/usr/sbin', '/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libx32'],
  ...['/usr/libexec', '/usr/local/bin', '/usr/local/sbin', '/usr/local/lib'],
  '/etc/ld.so.conf.d',
];

/** Files outside of these trees by which a loader or a name service can be led astray. */
const FILES = new Set([
  ...['/etc/ld.so.preload', '/etc/ld.so.conf', '/etc/ld.so.cache', '/etc/nsswitch.conf'],
]);

/** Their parents: anyone who can write here can replace a whole tree. */
const ABOVE = ['', '/usr', '/usr/local', '/etc'];

const CODE: ReadonlySet<Reason['kind']> = new Set([
  ...(['requested', 'needed', 'interpreter', 'dlopen', 'nss-module', 'hwcaps'] as const),
]);

/** The places of a jail in which nothing but the planned has a place. */
export class SystemDirectories {
  readonly #trees: ReadonlySet<string>;
  /** Directories elsewhere that hold programs or libraries of the plan. */
  readonly #holders: ReadonlySet<string>;

  constructor({ entries }: Manifest) {
    this.#trees = new Set(TREES);
    this.#holders = new Set(
      entries
        .filter(({ reasons }) => reasons.some(({ kind }) => CODE.has(kind)))
        .map(({ path }) => path.slice(0, path.lastIndexOf('/'))),
    );
  }

  /** Whether what is at this path, if it is not planned, is foreign. */
  mayNotHold(path: string): boolean {
    const parent = path.slice(0, path.lastIndexOf('/'));
    return FILES.has(path) || this.#holders.has(parent) || this.#isInTree(parent);
  }

  /** Whether only root may write to this directory. */
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
