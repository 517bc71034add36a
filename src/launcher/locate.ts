import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { JailbuildError } from '../errors.js';

/**
 * The launcher built for this machine. The build puts it beside the bundles; the sources find it in
 * the project's dist.
 *
 * @throws JailbuildError LAUNCHER_MISSING
 */
export function locateLauncher(): string {
  const inside = `native/linux-${process.arch}/invoke_ns`;
  const places = [inside, `../../dist/${inside}`];
  const candidates = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  throw new JailbuildError(
    'LAUNCHER_MISSING',
    `${candidates[0]}: the launcher is not built; install a C compiler and run npm run build`,
    candidates[0],
  );
}
