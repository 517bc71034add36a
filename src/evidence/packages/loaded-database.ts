import type { Sysroot } from '../../fs/sysroot.js';
import { databaseNames } from './aliases.js';
import {
  type InstalledPackage,
  MAX_OWNERS,
  type Package,
  type PackageDatabase,
} from './package.js';

/** A package and its database record. */
export interface PackageRecord {
  readonly installed: InstalledPackage;
  readonly provides: readonly string[];
  readonly license: string | undefined;
  readonly files: readonly string[];
}

/** A package database in one file, read as a whole. */
export class LoadedDatabase implements PackageDatabase {
  readonly #sysroot: Sysroot;
  readonly #records: readonly PackageRecord[];
  #byName: ReadonlyMap<string, PackageRecord> | undefined;
  #providers: ReadonlyMap<string, readonly InstalledPackage[]> | undefined;
  #owners: ReadonlyMap<string, readonly InstalledPackage[]> | undefined;

  constructor(sysroot: Sysroot, records: readonly PackageRecord[]) {
    this.#sysroot = sysroot;
    this.#records = records;
  }

  names(): readonly string[] {
    return this.#records.map(({ installed }) => installed.name);
  }

  find(name: string): InstalledPackage | undefined {
    return this.#named().get(name)?.installed;
  }

  providersOf(capability: string): readonly InstalledPackage[] {
    const named = this.find(capability);
    if (named !== undefined) return [named];
    if (capability.startsWith('/')) return this.ownersOf([capability]).get(capability) ?? [];
    this.#providers ??= grouped(this.#records, ({ provides }) => provides);
    return this.#providers.get(capability) ?? [];
  }

  filesOf(installed: InstalledPackage): readonly string[] | undefined {
    return this.#records.find((record) => record.installed === installed)?.files;
  }

  ownersOf(paths: readonly string[]): ReadonlyMap<string, readonly InstalledPackage[]> {
    this.#owners ??= grouped(this.#records, ({ files }) => files);
    const owners = new Map<string, readonly InstalledPackage[]>();
    for (const [name, path] of databaseNames(this.#sysroot, paths)) {
      const found = this.#owners.get(name) ?? [];
      if (found.length > MAX_OWNERS || found.length === 0) continue;
      owners.set(path, [...new Set([...(owners.get(path) ?? []), ...found])]);
    }
    return owners;
  }

  /** What scripts of rpm and apk make is listed, or known by sysusers.d. */
  installationOf(): string {
    return '';
  }

  dependentsOf({ name }: InstalledPackage): readonly InstalledPackage[] {
    return this.#records
      .map(({ installed }) => installed)
      .filter(({ depends }) => depends.some((alternatives) => alternatives.includes(name)));
  }

  essentials(): readonly InstalledPackage[] {
    return [];
  }

  detailsOf(installed: InstalledPackage): Package {
    const { depends, recommends, suggests, isEssential, ...others } = installed;
    const license = this.#records.find((record) => record.installed === installed)?.license;
    return license === undefined ? others : { ...others, license };
  }

  #named(): ReadonlyMap<string, PackageRecord> {
    // Of several versions, as of kernels, the last one wins.
    this.#byName ??= new Map(this.#records.map((record) => [record.installed.name, record]));
    return this.#byName;
  }
}

function grouped(
  records: readonly PackageRecord[],
  keysOf: (record: PackageRecord) => readonly string[],
): ReadonlyMap<string, readonly InstalledPackage[]> {
  const groups = new Map<string, InstalledPackage[]>();
  for (const record of records) {
    for (const key of keysOf(record)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [record.installed]);
      else if (!group.includes(record.installed)) group.push(record.installed);
    }
  }
  return groups;
}
