import type { Sysroot } from '../fs/sysroot.js';
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
  /** The root in which programs are resolved: the sources, with what is placed over them. */
  readonly sysroot: Sysroot;
  /** What files are copied from. */
  readonly sources: Sysroot;
  readonly files: FileCollection;
  readonly programs: ProgramResolver;
  /** Directories for bare program names. */
  readonly searchPath: readonly string[];
  /** Where relative paths start. */
  readonly cwd: string;
}

/** What profiles, users, includes and excludes do to a closure. */
export interface Additions {
  /** The request with what the profiles ask of the resolver. */
  readonly request: ResolveRequest;
  /** True if it may place files over the sources: made ones, or at another path. */
  readonly places?: boolean;
  /** Returns the paths of directories that the request includes with all that is below them. */
  trees?(sources: Sysroot): readonly string[];
  /** Variables that the profiles set, by name. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Adds to what the programs of the request will bring.
   *
   * @returns warnings
   */
  addTo(resolution: Resolution): string[];
  /** Takes out what is excluded, when nothing more comes. */
  takeOut(resolution: Resolution): void;
}
