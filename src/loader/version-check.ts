import type { SymbolVersions } from '../elf/types.js';
import type { MissingLibrary, MissingVersion } from '../manifest/manifest.js';
import { baseName } from '../text/base-name.js';
import type { LoadedObject } from './loaded-object.js';

/** The result of checking an object's symbol versions. */
export interface VersionReport {
  readonly missing: readonly MissingLibrary[];
  /** Problems that the loader only warns about, one sentence each. */
  readonly warnings: readonly string[];
}

const NO_PROBLEMS: VersionReport = { missing: [], warnings: [] };

/** The version that glibc requires objects with DT_RELR to need. */
const RELR_VERSION = 'GLIBC_ABI_DT_RELR';
const LIBC_NAME = /^libc\.so\./;

/** The versions that an object needs of one library. */
interface NeedsOfLibrary {
  readonly name: string;
  readonly versions: readonly string[];
  /** The library last found to define all of them. */
  metBy: SymbolVersions | undefined;
}

/** Cached by the versions of an object. */
const needsOf = new WeakMap<SymbolVersions, readonly NeedsOfLibrary[]>();

/**
 * Returns whether all versions that an object needs are defined, as is usual. Most pairs of objects
 * occur in many processes and are compared once.
 *
 * @param named returns the object of the process with a name
 */
function areVersionsMet(
  versions: SymbolVersions,
  named: (name: string) => LoadedObject | undefined,
): boolean {
  if (versions.problem !== undefined || lacksRelr(versions)) return false;
  let all = needsOf.get(versions);
  if (all === undefined) {
    const byName = new Map<string, string[]>();
    for (const { file, version } of versions.needs) {
      const known = byName.get(file);
      if (known === undefined) byName.set(file, [version]);
      else known.push(version);
    }
    all = [...byName].map(([name, names]) => ({ name, versions: names, metBy: undefined }));
    needsOf.set(versions, all);
  }
  return all.every((needs) => {
    const theirs = named(needs.name)?.elf.dynamic?.versions;
    if (theirs === undefined || theirs.problem !== undefined) return false;
    if (needs.metBy === theirs) return true;
    const { defines } = theirs;
    if (defines === undefined || !needs.versions.every((one) => defines.has(one))) return false;
    needs.metBy = theirs;
    return true;
  });
}

function lacksRelr({ hasRelr, needs }: SymbolVersions): boolean {
  return hasRelr && needs.length > 0 && !needs.some(({ version }) => version === RELR_VERSION);
}

/**
 * Compares DT_VERNEED of an object with DT_VERDEF of the objects that it names (glibc
 * elf/dl-version.c, _dl_check_map_versions). An object without definitions causes a warning; one
 * without any symbol versions fails at the first symbol bound to it (elf/dl-lookup.c, check_match).
 *
 * @param named returns the object of the process with a name
 * @param isMissing true for names that no object has because none was found
 * @param stopsAtUnversioned see `LoaderFlavor`
 */
export function checkVersions(
  object: LoadedObject,
  named: (name: string) => LoadedObject | undefined,
  isMissing: (name: string) => boolean,
  stopsAtUnversioned: boolean,
): VersionReport {
  const { versions, needed = [] } = object.elf.dynamic ?? {};
  if (versions === undefined || areVersionsMet(versions, named)) return NO_PROBLEMS;
  const neededBy = object.trace.path;
  const missing: MissingLibrary[] = [];
  const warnings = new Set<string>();
  const miss = (name: string, of: string, problem: MissingVersion['problem'], file?: string) => {
    const version = { name: of, problem, ...(file === undefined ? {} : { file }) };
    missing.push({ name, neededBy, version, searched: [] });
  };
  if (versions.problem !== undefined) {
    miss(baseName(neededBy), '', 'malformed', neededBy);
  }

  for (const { file: name, version, isWeak } of versions.needs) {
    const library = named(name);
    if (library === undefined) {
      if (!isMissing(name)) miss(name, version, 'not-loaded');
      continue;
    }
    const { path } = library.trace;
    const { defines, hasTable, problem } = library.elf.dynamic?.versions ?? {};
    if (problem !== undefined) {
      miss(name, version, 'malformed', path);
    } else if (defines === undefined) {
      if (stopsAtUnversioned && hasTable !== true && !isWeak) {
        miss(name, version, 'unversioned', path);
      } else warnings.add(`${path}: has no version information, which ${neededBy} was linked with`);
    } else if (!defines.has(version)) {
      if (!isWeak) miss(name, version, 'undefined', path);
      else warnings.add(`${path}: does not define ${version}, a weak need of ${neededBy}`);
    }
  }

  if (lacksRelr(versions)) {
    const name = needed.find((item) => LIBC_NAME.test(item));
    const libc = name === undefined ? undefined : named(name);
    if (name !== undefined && libc?.elf.dynamic?.versions.defines?.has(RELR_VERSION)) {
      miss(name, RELR_VERSION, 'undeclared', libc.trace.path);
    }
  }
  return { missing, warnings: [...warnings] };
}
