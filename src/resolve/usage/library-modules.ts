import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { languageOf } from './hints.js';

/** Functions that open modules (dlopen(3), libltdl, GModule, APR). */
export const MODULE_FUNCTIONS: readonly string[] = [
  ...['dlopen', 'dlmopen', 'g_module_open', 'g_module_open_full'],
  ...['lt_dlopen', 'lt_dlopenext', 'lt_dlopenadvise', 'apr_dso_load'],
];

/**
 * Matches a module in a directory of its package, where the loader does not look for libraries, and the
 * topmost such directory.
 */
const MODULE =
  /^(\/usr\/lib(?:32|64)?(?:\/[^/]+-linux-[^/]+)?\/(?![^/]+-linux-[^/]+\/)[^/]+)\/(?:.*\/)?[^/]+\.so$/;
/**
 * Modules that few programs load, or that other options add: engines, and those of services that
 * jails do not have.
 */
export const SELDOM_LOADED =
  /\/(engines-[\d.]+|ossl-modules|krb5\/plugins|sasl2|gconv|systemd|debug)(\/|$)/;
/**
 * A library or program with at least this number of modules does its work through them; fewer are
 * often additions, such as input methods.
 */
export const MANY = 16;

/** Modules that a package has in a directory of its own. */
export interface ModuleDirectory {
  readonly path: string;
  readonly count: number;
}

/** Returns the directories of modules of a package, without those that few programs load. */
export function moduleDirectories(
  database: PackageDatabase,
  owner: InstalledPackage,
): ModuleDirectory[] {
  const counts = new Map<string, number>();
  for (const file of database.filesOf(owner) ?? []) {
    const [, directory] = MODULE.exec(file) ?? [];
    if (directory === undefined || SELDOM_LOADED.test(file)) continue;
    counts.set(directory, (counts.get(directory) ?? 0) + 1);
  }
  return [...counts].map(([path, count]) => ({ path, count }));
}

/** Returns whether a package has modules, among its files. */
export function hasModules(listed: readonly string[]): boolean {
  return listed.some((file) => MODULE.test(file));
}

/** Returns whether an object opens modules, according to its imports. */
export function opensModules(imports: readonly string[]): boolean {
  return MODULE_FUNCTIONS.some((name) => imports.includes(name));
}

/**
 * Returns the imports by which a library opens modules: its own, or those of a library of the same source
 * package that it needs and that opens modules for it, as libQt5Core does for libQt5Gui.
 *
 * @param siblings the imports of each of these libraries
 */
export function openerImports(
  own: readonly string[],
  siblings: readonly (readonly string[])[],
): readonly string[] {
  return opensModules(own) ? own : (siblings.find(opensModules) ?? own);
}

/**
 * Returns whether a library or program works through the modules in a directory of its own package: it
 * opens modules, there are many, and they are not those of a language, which its scripts load.
 *
 * @param imports of the library or program
 */
export function worksThrough(
  { path, count }: ModuleDirectory,
  imports: readonly string[],
): boolean {
  return count >= MANY && languageOf(path) === undefined && opensModules(imports);
}
