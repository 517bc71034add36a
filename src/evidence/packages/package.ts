/** A package of a distribution that owns files. `type` is a package URL's (purl-spec, PURL-TYPES). */
export interface Package {
  readonly type: 'deb' | 'rpm' | 'apk' | 'alpm' | 'generic';
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of an rpm package. */
  readonly epoch?: number;
  /** The source package, where it has another name. */
  readonly source?: string;
  /** The version of the source package, where it is another one. */
  readonly sourceVersion?: string;
  /** Who maintains or distributes it. */
  readonly supplier?: string;
  readonly homepage?: string;
  /** An SPDX license expression; names that SPDX has not are `LicenseRef-` ones. */
  readonly license?: string;
}

/** Capabilities of which one is enough: names of packages, or what packages provide, without versions. */
export type Relation = readonly string[];

/** A package as its database describes it. Of one package there is one object. */
export interface InstalledPackage extends Package {
  /** What its distribution files it under, as `interpreters`. */
  readonly section?: string;
  readonly depends: readonly Relation[];
  readonly recommends: readonly Relation[];
  readonly suggests: readonly Relation[];
  /** The distribution takes it for present on every system. */
  readonly isEssential: boolean;
}

/** The packages of a sysroot. Everything is read when it is asked for. */
export interface PackageDatabase {
  /** Names of all packages. */
  names(): readonly string[];
  /** Finds a package by its name, or by `NAME:ARCHITECTURE` where several have the name. */
  find(name: string): InstalledPackage | undefined;
  /** Returns the packages that satisfy a capability, the one of that name first. */
  providersOf(capability: string): readonly InstalledPackage[];
  /**
   * Returns the paths of all that a package installed, directories included, diverted files at the
   * place that they were diverted to; undefined if the database has no list for it.
   */
  filesOf(installed: InstalledPackage): readonly string[] | undefined;
  /**
   * Returns the owners of paths. Directories of more packages than {@link MAX_OWNERS} have none.
   *
   * @param paths inside the sysroot, without links on the way
   */
  ownersOf(paths: readonly string[]): ReadonlyMap<string, readonly InstalledPackage[]>;
  /** Packages that the distribution takes for present on every system. */
  essentials(): readonly InstalledPackage[];
  /** Returns the package with its license. */
  detailsOf(installed: InstalledPackage): Package;
}

/** A directory of more packages belongs to the file hierarchy, not to them. */
export const MAX_OWNERS = 40;

/** What a package database knows about files. */
export interface Ownership {
  /** By the paths that were asked for. */
  readonly owners: ReadonlyMap<string, Package>;
  /** What could not be read, for the user. */
  readonly warnings: readonly string[];
}

/** The version as the package manager shows it. */
export function fullVersion({ version, epoch }: Package): string {
  return epoch === undefined ? version : `${epoch}:${version}`;
}

/** The name of the source package. */
export function sourceOf({ source, name }: Package): string {
  return source ?? name;
}

/** The version of the source package, with its epoch. */
export function sourceVersionOf(owner: Package): string {
  return owner.sourceVersion ?? fullVersion(owner);
}

/** Types of packages whose source package is known: its name is noted where it is another one. */
export function hasSource({ type }: Package): boolean {
  return type === 'deb' || type === 'rpm' || type === 'apk';
}
