import { JailbuildError } from '../errors.js';
import type { MissingLibrary } from './manifest.js';

/** One line for a library that was not found: its name, who needs it, where was searched. */
export function describeMissing({ name, neededBy, searched, cachedAt }: MissingLibrary): string {
  const places = searched.map(({ rule, path }) => `${path} [${rule}]`).join(', ');
  const cache =
    cachedAt === undefined
      ? ''
      : `; only a library cache leads to ${cachedAt}: --ld-cache generate`;
  return `${name}: library not found, needed by ${neededBy}; searched ${places}${cache}`;
}

/** @throws JailbuildError LIBRARY_NOT_FOUND for the first one */
export function refuseMissing(missing: readonly MissingLibrary[]): void {
  const [first, ...rest] = missing.filter(({ optional }) => !optional);
  if (first === undefined) return;
  const others = rest.length;
  const more = others === 0 ? '' : ` (and ${others} more)`;
  throw new JailbuildError(
    'LIBRARY_NOT_FOUND',
    `${describeMissing(first)}${more}; --allow-missing builds without it`,
    first.neededBy,
  );
}
