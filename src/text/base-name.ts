/** Returns the last name of a path: what follows its last slash, empty for a path that ends with one. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
