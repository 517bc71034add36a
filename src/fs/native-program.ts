import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Where a C program built for this machine is. The build puts it beside the bundles; the sources find
 * it in the project's dist.
 *
 * @returns `found` is undefined where it is not built; `expected` is the first place looked at
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
