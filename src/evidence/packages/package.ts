/**
 * A package of a distribution that owns files. `type` is that of a package URL (purl-spec,
 * PURL-TYPES).
 */
export interface Package {
  readonly type: 'deb' | 'rpm' | 'apk' | 'alpm' | 'generic';
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** For rpm packages only. */
  readonly epoch?: number;
  /** The source package, if its name differs. */
  readonly source?: string;
  /** The version of the source package, if it differs. */
  readonly sourceVersion?: string;
  /** The maintainer or distributor. */
  readonly supplier?: string;
  readonly homepage?: string;
  /** An SPDX license expression; names that SPDX does not define are `LicenseRef-` ones. */
  readonly license?: string;
}

/**
 * Alternative capabilities: names of packages, or names that packages provide, without versions.
 */
export type Relation = readonly string[];

/** A package as its database describes it. Each package has a single object. */
export interface InstalledPackage extends Package {
  /** The distribution's section, such as `interpreters`. */
  readonly section?: string;
  readonly depends: readonly Relation[];
  readonly recommends: readonly Relation[];
  readonly suggests: readonly Relation[];
  /** The distribution assumes the package on every system. */
  readonly isEssential: boolean;
}

/** The packages of a sysroot. Everything is read on demand. */
export interface PackageDatabase {
  /**
   * Paths of which one changes its attributes with each change of what the database returns; undefined
   * if there are none.
   */
  readonly stamps?: readonly string[] | undefined;
  /** Returns the names of all packages. */
  names(): readonly string[];
  /** Finds a package by its name, or by `NAME:ARCHITECTURE` if several share the name. */
  find(name: string): InstalledPackage | undefined;
  /** Returns the packages that satisfy a capability, the package of that name first. */
  providersOf(capability: string): readonly InstalledPackage[];
  /**
   * Returns the paths that a package installed, including directories; diverted files at their
   * diverted paths. Undefined if the database has no list for it.
   */
  filesOf(installed: InstalledPackage): readonly string[] | undefined;
  /**
   * Returns the owners of paths. Directories of more than {@link MAX_OWNERS} packages have none.
   *
   * @param paths inside the sysroot, without links on the way
   */
  ownersOf(paths: readonly string[]): ReadonlyMap<string, readonly InstalledPackage[]>;
  /** Returns the script that ends the installation of a package; empty if there is none. */
  installationOf(installed: InstalledPackage): string;
  /** Returns the packages that name a package among their dependencies. */
  dependentsOf(installed: InstalledPackage): readonly InstalledPackage[];
  /** Returns the packages that the distribution assumes on every system. */
  essentials(): readonly InstalledPackage[];
  /** Returns the package with its license. */
  detailsOf(installed: InstalledPackage): Package;
}

/** A directory with more owners belongs to the file hierarchy, not to its packages. */
export const MAX_OWNERS = 40;

/** The owners of files, from package databases. */
export interface Ownership {
  /** By the requested paths. */
  readonly owners: ReadonlyMap<string, Package>;
  /** A sentence for each database that could not be read. */
  readonly warnings: readonly string[];
}

/** Returns the version as the package manager shows it. */
export function fullVersion({ version, epoch }: Package): string {
  return epoch === undefined ? version : `${epoch}:${version}`;
}

/** Returns the name of the source package. */
export function sourceOf({ source, name }: Package): string {
  return source ?? name;
}

/** Returns the version of the source package, with its epoch. */
export function sourceVersionOf(owner: Package): string {
  return owner.sourceVersion ?? fullVersion(owner);
}

/**
 * Returns whether a package type declares its source package, which it does if the name differs.
 */
export function hasSource({ type }: Package): boolean {
  return type === 'deb' || type === 'rpm' || type === 'apk';
}
