/** The directories that a set of paths makes, and the names in each. */
export class NameTree {
  readonly #names = new Map<string, Set<string>>([['/', new Set()]]);

  /** Adds an absolute path, with the directories on the way to it. */
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

  /** Whether a path is a directory: `/`, or one that an added path lies in. */
  has(directory: string): boolean {
    return this.#names.has(directory);
  }

  /** Returns the names in a directory, none if there is no such. */
  in(directory: string): ReadonlySet<string> {
    return this.#names.get(directory) ?? new Set();
  }
}
