import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';

/** Matches a program of a package, and its name. */
export const PROGRAM = /^(?:\/usr)?\/s?bin\/([^/]+)$/;
/** The maximum number of programs of a package whose names are no words such as `sync`. */
const FEW_PROGRAMS = 20;

/** Returns the names of the programs of a package. */
export function programsOf(owner: InstalledPackage, database: PackageDatabase): string[] {
  return (database.filesOf(owner) ?? []).flatMap((file) => PROGRAM.exec(file)?.[1] ?? []);
}

/** Returns whether a package has few programs, whose names are rather no words such as `sync`. */
export function hasFewPrograms(owner: InstalledPackage, database: PackageDatabase): boolean {
  return programsOf(owner, database).length <= FEW_PROGRAMS;
}
