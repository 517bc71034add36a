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
  /** Who maintains or distributes it. */
  readonly supplier?: string;
  readonly homepage?: string;
  /** An SPDX license expression; names that SPDX has not are `LicenseRef-` ones. */
  readonly license?: string;
}

/** What a package database says. */
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
