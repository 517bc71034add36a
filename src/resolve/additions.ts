import type { Sysroot } from '../fs/sysroot.js';
import type { AccountRequest } from '../manifest/account-request.js';
import type { ResolveRequest } from '../manifest/request.js';
import type { FileCollection } from './file-collection.js';
import type { ProgramResolver } from './program-resolver.js';

/** Returns whether a request needs profiles, users, includes or excludes to be loaded. */
export function needsAdditions(request: ResolveRequest): boolean {
  const { profiles = [], users = [], include = [], exclude = [] } = request;
  const { traces = [], directories = [] } = request;
  return [profiles, users, include, exclude, traces, directories].some(({ length }) => length > 0);
}

/** Returns whether a request needs the package database. */
export function needsPackages(request: ResolveRequest): boolean {
  const { packages = [], withPackage, traces = [], traceScope } = request;
  const areTraced = traces.length > 0 && traceScope === 'packages';
  return packages.length > 0 || withPackage === true || areTraced;
}

/** A resolution in progress, for its additions. */
export interface Resolution {
  /** The root in which programs are resolved: the sources with everything placed over them. */
  readonly sysroot: Sysroot;
  /** The root from which files are copied. */
  readonly sources: Sysroot;
  readonly files: FileCollection;
  readonly programs: ProgramResolver;
  /** Directories in which program names are looked up. */
  readonly searchPath: readonly string[];
  /** The base of relative paths. */
  readonly cwd: string;
}

/** What profiles, users, includes and excludes change in a closure. */
export interface Additions {
  /** The request, with the resolver options that the profiles set. */
  readonly request: ResolveRequest;
  /** Whether it may place files over the sources: made files, or files at another path. */
  readonly places?: boolean;
  /** Returns the paths of directories that the request includes with all that is below them. */
  trees?(sources: Sysroot): readonly string[];
  /** Variables that the profiles set, by name. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Adds to the files of the request's programs.
   *
   * @returns warnings
   */
  addTo(resolution: Resolution): string[];
  /**
   * Adds users that the programs turned out to need.
   *
   * @returns warnings
   */
  addUsers(resolution: Resolution, users: readonly AccountRequest[]): string[];
  /** Removes excluded files, once everything is added. */
  takeOut(resolution: Resolution): void;
}
