/** The directories implied by a set of paths, and the names in each. */
export class NameTree {
  readonly #names = new Map<string, Set<string>>([['/', new Set()]]);

  /** Adds an absolute path and its parent directories. */
  add(path: string): void {
    const cut = path.lastIndexOf('/');
    const directory = path.slice(0, cut) || '/';
    const name = path.slice(cut + 1);
    const known = this.#names.get(directory);
    if (known !== undefined) {
      if (name !== '') known.add(name);
      return;
    }
    this.#names.set(directory, new Set([name]));
    this.add(directory);
  }

  /** Returns whether a path is a directory: `/`, or a parent of an added path. */
  has(directory: string): boolean {
    return this.#names.has(directory);
  }

  /** Returns the names in a directory, or an empty set if it does not exist. */
  in(directory: string): ReadonlySet<string> {
    return this.#names.get(directory) ?? new Set();
  }
}
