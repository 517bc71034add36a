import { type InstalledPackage, sourceOf } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import { scriptPaths } from '../usage/named-paths.js';
import type { AddedFiles, PackageSources } from './added-files.js';

/** A directory of configuration. */
const CONFIGURATION = /^\/etc\/[^/]+$/;
/** Files that configuration names to be read: not programs, and not libraries or modules. */
const READ = /^\/(etc|usr\/share)\//;

/** A directory that a program names, and the packages that list it. */
interface NamedDirectory {
  readonly program: Trace;
  readonly directory: Trace;
  readonly among: readonly InstalledPackage[];
}

/**
 * Adds the configuration that a package has for a program of another one of the same source, on
 * which it depends (apache2 for apache2-bin), and what that configuration names of the
 * dependencies of its package. Adds nothing for other directories.
 */
export function addDependentConfiguration(
  { program, directory, among }: NamedDirectory,
  { sysroot, database, families }: PackageSources,
  added: AddedFiles,
): void {
  if (!CONFIGURATION.test(directory.path) || directory.stat.type !== 'directory') return;
  const owners = families.ownersOf(program);
  const sources = new Set(owners.map(sourceOf));
  const dependents = new Set(owners.flatMap((owner) => database.dependentsOf(owner)));
  const owner = among.find((item) => dependents.has(item) && sources.has(sourceOf(item)));
  if (owner === undefined) return;
  const by = program.path;
  added.addTree(directory, { kind: 'named', by, package: owner.name }, owner);
  const files = (database.filesOf(owner) ?? [])
    .filter((path) => path.startsWith(`${directory.path}/`))
    .map((path) => sysroot.trace(path))
    .filter(isTrace)
    .filter(({ stat }) => stat.type === 'file' && (stat.mode & 0o004) !== 0);
  const near = families.dependencies([owner], 1);
  for (const file of files) {
    const named = scriptPaths(sysroot.probe, file).filter(({ trace }) => READ.test(trace.path));
    const byPath = database.ownersOf(named.map(({ trace }) => trace.path));
    for (const { name, trace } of named) {
      const other = byPath.get(trace.path)?.find((item) => near.has(item));
      const found = sysroot.trace(name);
      if (other === undefined || !isTrace(found) || !isRunTimeFile(found.path)) continue;
      added.addTree(found, { kind: 'named', by: file.path, package: other.name }, other);
    }
  }
}
