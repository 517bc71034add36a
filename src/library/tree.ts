import type { RegistryAccess } from '../image/registry/access.js';
import { checkRequest } from '../manifest/check-request.js';
import type { MissingLibrary } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { resolveRequest } from '../plan/resolve-request.js';
import { type DependencyNode, dependencyTree, totalOf } from '../resolve/dependency-tree.js';
import { checkOptions, flag, registryAccess } from './options.js';

/** Options of `dependencyTrees`. */
export interface TreeOptions {
  /** How a sysroot is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
  /** Read each file again instead of using what earlier runs have stored, and store nothing. */
  readonly noCache?: boolean;
}

/** The dependencies of programs. */
export interface DependencyTrees {
  /** A tree for each program. */
  readonly programs: readonly DependencyNode[];
  /** Size of all files in the trees in bytes, each counted once. */
  readonly total: number;
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
}

/**
 * Finds the dependencies of programs, and the loader rule that finds each, as `jailbuild tree`
 * does. Dependencies of a shared file are listed once, at its highest place.
 *
 * @param request its terminal descriptions and library cache are ignored
 * @throws JailbuildError USAGE, PROGRAM_NOT_FOUND, NOT_ELF, MALFORMED_ELF and others. Missing
 *   libraries are not errors.
 */
export async function dependencyTrees(
  request: ResolveRequest,
  options: TreeOptions = {},
): Promise<DependencyTrees> {
  const checked = checkOptions<TreeOptions>(options, {
    registry: registryAccess,
    noCache: flag,
  });
  const asked = { ...checkRequest(request), terminfo: 'none', ldCache: 'copy' } as const;
  const closure = await resolveRequest(asked, { isAdvised: false, ...checked });
  const { missing, warnings } = closure;
  const programs = dependencyTree(closure);
  return { programs, total: totalOf(programs), missing, warnings };
}
