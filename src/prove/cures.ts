import path from 'node:path';
import { openPackages } from '../evidence/packages/open.js';
import type { PackageDatabase } from '../evidence/packages/package.js';
import { isRunTimeFile } from '../evidence/packages/run-time-files.js';
import { isSecret } from '../evidence/trace/secrets.js';
import { isTrace, type Sysroot, type Trace } from '../fs/sysroot.js';
import type { ResolveRequest } from '../manifest/request.js';
import { isSharedDirectory } from '../resolve/traced-files.js';
import type { Lack } from './lacks.js';

/** A way to add what a jail lacks. */
export type Cure =
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'include'; readonly path: string }
  /** Only the directory, without its content. */
  | { readonly kind: 'directory'; readonly path: string }
  /** Never added automatically: secrets leave the host only by name. */
  | { readonly kind: 'secret'; readonly path: string };

/** A cure and what it is for. */
export interface Remedy {
  readonly cure: Cure;
  readonly lacks: readonly Lack[];
}

/** Directories of files made on this machine. */
const STATE = /^\/(?:tmp|var|run|home|root|srv|mnt|media)(?:\/|$)/;
/** Compilers look for headers one by one, and each includes others. */
const HEADERS = /^\/usr\/include(?:\/|$)/;
const ACCOUNTS: readonly string[] = ['/etc/passwd', '/etc/group'];
/** Packages that all others depend on: only single files of them are added. */
const BASE =
  /^(?:libc6|libc-bin|libgcc-s1|libstdc\+\+6|base-passwd|passwd|login|debconf|musl|glibc|tzdata|locales|ncurses-base|ncurses-term)$/;
/** The maximum size in bytes of a directory that is added with its content. */
const MAX_TREE = 32 << 20;
/** The minimum share of a listing's missing names that a package must own to be added. */
const LISTED_SHARE = 0.2;
/** The maximum number of files in a directory that is added with its content. */
const MAX_NAMES = 20_000;

/**
 * Finds the smallest cure for each lack: the package that owns it, or the path itself.
 *
 * @param have packages already in the jail
 */
export async function findRemedies(
  lacks: readonly Lack[],
  host: Sysroot,
  have: readonly string[],
): Promise<Remedy[]> {
  if (lacks.length === 0) return [];
  const { database } = await openPackages(host);
  const remedies = new Map<string, { readonly cure: Cure; readonly lacks: Lack[] }>();
  for (const lack of lacks) {
    for (const cure of curesOf(lack, host, database, have)) {
      const key = cureWords(cure);
      const known = remedies.get(key);
      if (known === undefined) remedies.set(key, { cure, lacks: [lack] });
      else known.lacks.push(lack);
    }
  }
  return [...remedies.values()];
}

function curesOf(
  lack: Lack,
  host: Sysroot,
  database: PackageDatabase | undefined,
  have: readonly string[],
): readonly Cure[] {
  if (lack.unlisted !== undefined) return listingCures(lack, lack.unlisted, host, database, have);
  if (ACCOUNTS.includes(lack.path)) {
    // Programs that look up a user then look up its group.
    return ACCOUNTS.filter((at) => isTrace(host.trace(at))).map(includeOf);
  }
  const cure = cureOf(lack, host, database, have);
  if (cure === undefined) return [];
  if (cure.kind === 'package') {
    // The link to the file may belong to another package, or to none.
    const isLink = hasOwnLink(lack.path, host);
    return [
      cure,
      ...(isLink ? [includeOf(lack.path)] : []),
      ...staticLibraries(cure.name, host, database),
    ];
  }
  // If a directory is too large to add, its packages are added.
  const found = host.trace(lack.path);
  const names = cure.kind === 'directory' && isTrace(found) ? host.list(found) : [];
  return [cure, ...listingCures(lack, names, host, database, have)];
}

function hasOwnLink(at: string, host: Sysroot): boolean {
  const found = host.trace(at);
  return isTrace(found) && found.stat.type === 'file' && found.links.some(({ last }) => last);
}

function includeOf(at: string): Cure {
  return { kind: 'include', path: at };
}

/**
 * Returns the static libraries of a development package, which is useless without them; builds omit
 * them by default.
 */
function staticLibraries(
  name: string,
  host: Sysroot,
  database: PackageDatabase | undefined,
): readonly Cure[] {
  const installed = /-dev(?:el)?$/.test(name) ? database?.find(name) : undefined;
  const files = installed === undefined ? [] : (database?.filesOf(installed) ?? []);
  return files.filter((at) => /\.l?a$/.test(at) && isTrace(host.trace(at))).map(includeOf);
}

/**
 * Returns the cures for a directory that was listed. Shared directories have none, since most of
 * their content is of no use to the program.
 */
function listingCures(
  { path: directory }: Lack,
  names: readonly string[],
  host: Sysroot,
  database: PackageDatabase | undefined,
  have: readonly string[],
): readonly Cure[] {
  const found = host.trace(directory);
  if (!isTrace(found) || STATE.test(found.path) || isSharedDirectory(found.path)) return [];
  const paths = names.map((name) => `${found.path}/${name}`);
  const owners = [...(database?.ownersOf(paths).values() ?? [])].flat();
  const counts = new Map<string, number>();
  for (const { name } of owners) counts.set(name, (counts.get(name) ?? 0) + 1);
  const cures = [...counts]
    .filter(([name, count]) => count >= owners.length * LISTED_SHARE && !have.includes(name))
    .filter(([name]) => !BASE.test(name))
    .map(([name]): Cure => ({ kind: 'package', name }));
  if (counts.size > 0 || names.length === 0 || !isSmall(found, host)) return cures;
  return [{ kind: 'include', path: directory }];
}

function cureOf(
  lack: Lack,
  host: Sysroot,
  database: PackageDatabase | undefined,
  have: readonly string[],
): Cure | undefined {
  const found = host.trace(lack.path);
  if (!isTrace(found)) return undefined;
  if (isSecret(host, lack.path, found)) return { kind: 'secret', path: lack.path };
  const { type } = found.stat;
  if (type !== 'file' && type !== 'directory') return undefined;
  const isDirectory = type === 'directory';
  if (HEADERS.test(found.path)) return { kind: 'include', path: '/usr/include' };
  if (isDirectory && (lack.isPlace || STATE.test(found.path) || isSharedDirectory(found.path))) {
    return { kind: 'directory', path: lack.path };
  }
  const owner = ownerOf(found, database);
  if (owner !== undefined && !have.includes(owner) && isRunTimeFile(found.path)) {
    return { kind: 'package', name: owner };
  }
  const own = ownDirectory(found.path, host);
  if (own !== undefined) return { kind: 'include', path: own };
  if (!isDirectory || isSmall(found, host)) return { kind: 'include', path: lack.path };
  return { kind: 'directory', path: lack.path };
}

/**
 * Returns the highest directory above a path that is not shared by many programs, if it is small.
 */
function ownDirectory(at: string, host: Sysroot): string | undefined {
  if (!/^\/usr\/(?:local\/)?(?:lib|share|libexec)/.test(at)) return undefined;
  let own: string | undefined;
  for (let above = path.posix.dirname(at); above !== '/'; above = path.posix.dirname(above)) {
    if (isSharedDirectory(above)) break;
    own = above;
  }
  const found = own === undefined ? undefined : host.trace(own);
  return found !== undefined && isTrace(found) && isSmall(found, host) ? own : undefined;
}

/** Returns the package that owns a file, unless it is a base package or there are several. */
function ownerOf(found: Trace, database: PackageDatabase | undefined): string | undefined {
  const owners = database?.ownersOf([found.path]).get(found.path) ?? [];
  const [only] = owners;
  if (only === undefined || owners.length > 1 || only.isEssential || BASE.test(only.name)) {
    return undefined;
  }
  return only.name;
}

/** Returns whether a directory with all its content is small enough to add. */
function isSmall(directory: Trace, host: Sysroot): boolean {
  let [size, names] = [0, 0];
  const add = (at: Trace): boolean => {
    for (const name of host.list(at)) {
      const found = host.trace(path.posix.join(at.path, name));
      if (!isTrace(found)) continue;
      size += found.stat.size;
      if (++names > MAX_NAMES || size > MAX_TREE) return false;
      if (found.stat.type === 'directory' && found.links.length === 0 && !add(found)) return false;
    }
    return true;
  };
  return add(directory);
}

/** Returns the option of `build` that applies a cure. */
export function cureWords(cure: Cure): string {
  switch (cure.kind) {
    case 'package':
      return `--package ${cure.name}`;
    case 'directory':
      return `--directory ${cure.path}`;
    default:
      return `--include ${cure.path}`;
  }
}

/** Returns the request that applies cures. Omits secrets. */
export function requestOfCures(cures: readonly Cure[]): ResolveRequest {
  const packages = cures.flatMap((cure) => (cure.kind === 'package' ? [cure.name] : []));
  const include = cures.flatMap((cure) => (cure.kind === 'include' ? [{ from: cure.path }] : []));
  const directories = cures.flatMap((cure) => (cure.kind === 'directory' ? [cure.path] : []));
  return {
    programs: [],
    ...(packages.length === 0 ? {} : { packages }),
    ...(include.length === 0 ? {} : { include }),
    ...(directories.length === 0 ? {} : { directories }),
  };
}
