import type { Reason } from '../plan/manifest.js';
import { type FileStat, isTrace, type Sysroot, type Trace } from '../sysroot/sysroot.js';

/** A path that the jail must have, and why. */
export interface CollectedFile {
  readonly path: string;
  readonly stat: FileStat;
  /** The text of a symbolic link. */
  readonly target: string | undefined;
  readonly reasons: Reason[];
}

/**
 * The files found so far. Adding a look-up adds every hop of it: the links, the directories that
 * it passes, and the file at its end, so that the same look-up succeeds in the jail.
 */
export class FileCollection {
  readonly #sysroot: Sysroot;
  readonly #files = new Map<string, CollectedFile>();
  readonly #reasonsSeen = new Set<string>();

  constructor(sysroot: Sysroot) {
    this.#sysroot = sysroot;
  }

  /** All files in the order of their paths. */
  sorted(): CollectedFile[] {
    return [...this.#files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Adds what a look-up needs. The reason goes to the name that was looked up. */
  add(trace: Trace, reason: Reason): void {
    let why = reason;
    for (const link of trace.links) {
      this.#put(link.path, link.target, link.last ? why : { kind: 'parent' });
      if (link.last) why = { kind: 'link-target', of: link.path };
    }
    for (const directory of trace.left) this.#put(directory, undefined, { kind: 'parent' });
    this.#put(trace.path, undefined, why);
  }

  /** Adds a directory with all that is below it, following no links inside but keeping them. */
  addTree(directory: Trace, reason: (name: string) => Reason): void {
    this.add(directory, { kind: 'parent' });
    for (const name of this.#sysroot.list(directory)) {
      const path = directory.path === '/' ? `/${name}` : `${directory.path}/${name}`;
      const found = this.#sysroot.trace(path);
      if (!isTrace(found)) continue;
      if (found.stat.type === 'directory' && found.links.length === 0) {
        this.addTree(found, reason);
      } else {
        this.add(found, reason(name));
      }
    }
  }

  /** The entry by which a look-up is known in reasons: its first own link, or the file itself. */
  static nameOf(trace: Trace): string {
    return trace.links.find((link) => link.last)?.path ?? trace.path;
  }

  #put(path: string, target: string | undefined, reason: Reason): void {
    const key = reasonKey(path, reason);
    if (this.#reasonsSeen.has(key)) return;
    this.#reasonsSeen.add(key);
    const known = this.#files.get(path);
    if (known !== undefined) {
      known.reasons.push(reason);
      return;
    }
    const stat = this.#sysroot.statOf(path);
    this.#files.set(path, { path, stat, target, reasons: [reason] });
    const cut = path.lastIndexOf('/');
    if (cut > 0) this.#put(path.slice(0, cut), undefined, { kind: 'parent' });
  }
}

function reasonKey(path: string, reason: Reason): string {
  return `${path}\0${Object.values(reason).join('\0')}`;
}
