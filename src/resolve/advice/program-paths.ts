import type { InstalledPackage } from '../../evidence/packages/package.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import { type NamedPath, scriptPathEnds, scriptPaths } from '../usage/named-paths.js';
import type { AdviceContext } from './context.js';

/** A path that a program names, itself or through a library. */
export interface Named extends NamedPath {
  /** The file that contains the name. */
  readonly by: Trace;
}

/** The files of a program, and its packages. */
interface Program {
  readonly objects: readonly Trace[];
  readonly owners: readonly InstalledPackage[];
}

/** Returns the files and directories of the host that a program names in its objects. */
export function pathsNamedBy({ objects, owners }: Program, context: AdviceContext): Named[] {
  return objects.flatMap((by) => pathsIn(by, owners, context).map((path) => ({ ...path, by })));
}

function pathsIn(
  object: Trace,
  owners: readonly InstalledPackage[],
  context: AdviceContext,
): readonly NamedPath[] {
  const { probe, jail, parts, contents } = context;
  const { elf } = jail.read(object);
  if (elf !== undefined) return parts.namedBy(object, elf);
  if (!jail.isFollowed(object.path)) return ownPathsIn(object, owners, context);
  return [...scriptPaths(probe, object, contents.root), ...endsNamedBy(object, owners, context)];
}

/**
 * Returns the paths of a script's own packages that it names, in a language of which the comments
 * are unknown.
 */
function ownPathsIn(
  script: Trace,
  owners: readonly InstalledPackage[],
  { probe, packages, contents }: AdviceContext,
): NamedPath[] {
  const named = scriptPaths(probe, script, contents.root);
  const byPath = packages?.database.ownersOf(named.map(({ trace }) => trace.path));
  return named.filter(({ trace }) =>
    byPath?.get(trace.path)?.some((owner) => owners.includes(owner)),
  );
}

/** Returns the files of a shell script's own packages that it names behind a computed beginning. */
function endsNamedBy(
  script: Trace,
  owners: readonly InstalledPackage[],
  context: AdviceContext,
): NamedPath[] {
  const { probe, packages, contents } = context;
  const ends = scriptPathEnds(script, contents.root);
  if (ends.length === 0 || packages === undefined) return [];
  const listed = owners
    .flatMap((owner) => context.filesOf(owner))
    .filter((file) => ends.some((end) => file.endsWith(end)));
  const byPath = packages.database.ownersOf(listed);
  return listed.flatMap((name) => {
    const trace = probe.trace(name);
    // Directories of several packages are those of a language or service.
    const isShared = (byPath.get(name)?.length ?? 0) > 1;
    return isTrace(trace) && !isShared ? [{ name, trace }] : [];
  });
}
