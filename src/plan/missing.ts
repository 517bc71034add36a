import { JailbuildError } from '../errors.js';
import type { MissingLibrary } from './manifest.js';

/** One line for a library that was not found: its name, who needs it, where was searched. */
export function describeMissing({ name, neededBy, searched }: MissingLibrary): string {
  const places = searched.map(({ rule, path }) => `${path} [${rule}]`).join(', ');
  return `${name}: library not found, needed by ${neededBy}; searched ${places}`;
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
