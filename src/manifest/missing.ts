import { JailbuildError } from '../errors.js';
import type { MissingLibrary, MissingVersion } from './manifest.js';

/** Returns a key that identifies a missing library or version and the object that needs it. */
export function missingId({ name, neededBy, version }: MissingLibrary): string {
  return [name, neededBy, ...(version === undefined ? [] : [version.name])].join('\0');
}

/** Describes a missing library in one line: its name, what needs it, where the loader looked. */
export function describeMissing(library: MissingLibrary): string {
  const { name, neededBy, searched, version } = library;
  if (version !== undefined) return describeVersion(name, neededBy, version);
  const places = searched.map(({ rule, path }) => `${path} [${rule}]`).join(', ');
  return `${name}: library not found, needed by ${neededBy}; searched ${places}${elsewhere(library)}`;
}

/** Describes where a library is that the jail's loader does not find, and the remedy. */
function elsewhere({ cachedAt, variantAt, configuredAt }: MissingLibrary): string {
  if (cachedAt !== undefined) {
    return `; only a library cache leads to ${cachedAt}: use --ld-cache generate`;
  }
  if (configuredAt !== undefined) {
    return `; it is at ${configuredAt}, in a directory of ld.so.conf, but not in the library cache: run ldconfig`;
  }
  if (variantAt === undefined) return '';
  return `; only processors with more features find ${variantAt}: install the baseline library too`;
}

function describeVersion(name: string, neededBy: string, version: MissingVersion): string {
  const { file = name } = version;
  switch (version.problem) {
    case 'undefined':
      return `${file}: does not define version ${version.name}, needed by ${neededBy}: add the release of ${name} that it was linked with`;
    case 'unversioned':
      return `${file}: its symbols have no versions, but ${neededBy} needs ${version.name} of ${name}: add the release that it was linked with`;
    case 'undeclared':
      return `${neededBy}: has DT_RELR without needing ${version.name} of ${name}, which the loader requires: link it again with -z pack-relative-relocs`;
    case 'not-loaded':
      return `${neededBy}: needs version ${version.name} of ${name}, which it does not link: link it again`;
    case 'malformed':
      return `${file}: its symbol versions are malformed, so the loader fails; needed by ${neededBy}`;
  }
}

/** @throws JailbuildError LIBRARY_NOT_FOUND or VERSION_NOT_FOUND for the first required one */
export function refuseMissing(missing: readonly MissingLibrary[]): void {
  const [first, ...rest] = missing.filter(({ optional }) => !optional);
  if (first === undefined) return;
  const others = rest.length;
  const more = others === 0 ? '' : ` (and ${others} more)`;
  throw new JailbuildError(
    first.version === undefined ? 'LIBRARY_NOT_FOUND' : 'VERSION_NOT_FOUND',
    `${describeMissing(first)}${more}; --allow-missing builds without it`,
    first.neededBy,
  );
}
