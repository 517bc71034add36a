import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Returns the path of a file that the build copies from another package into a directory of dist. It is beside
 * the bundles; the sources find it in the project's dist.
 *
 * @throws Error if the package is not complete
 */
export function packagedFile(directory: string, name: string): string {
  const places = [`./${directory}/${name}`, `../../dist/${directory}/${name}`];
  const files = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const found = files.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new Error(`${files[0]} is missing`);
}
