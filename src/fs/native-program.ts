import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Locates a C program built for this machine: beside the bundles in a package, in dist when run from source.
 *
 * @returns `found` is undefined if it is not built; `expected` is the first path tried
 */
export function nativeProgram(name: string): {
  readonly found: string | undefined;
  readonly expected: string;
} {
  const inside = `native/linux-${process.arch}/${name}`;
  const expected = fileURLToPath(new URL(inside, import.meta.url));
  const places = [expected, fileURLToPath(new URL(`../../dist/${inside}`, import.meta.url))];
  return { found: places.find((place) => existsSync(place)), expected };
}
