import type { RegistryAccess } from '../image/registry/client.js';
import { checkRequest } from '../manifest/check-request.js';
import type { MissingLibrary } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { resolveRequest } from '../plan/resolve-request.js';
import { type DependencyNode, dependencyTree, totalOf } from '../resolve/dependency-tree.js';
import { checkOptions, registryAccess } from './options.js';

/** Options of `dependencyTrees`. */
export interface TreeOptions {
  /** How a sysroot is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
}

/** What programs need. */
export interface DependencyTrees {
  /** A tree for each program. */
  readonly programs: readonly DependencyNode[];
  /** Bytes of all files of the trees, each counted once. */
  readonly total: number;
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
}

/**
 * Finds what programs need, and by which rule of the loader each of it is found, as `jailbuild tree`
 * does. What several need has its own needs at one place: the highest.
 *
 * @param request of which terminal descriptions and the library cache play no part
 * @throws JailbuildError USAGE, PROGRAM_NOT_FOUND, NOT_ELF, MALFORMED_ELF and others; a missing library is
 *   no error
 */
export async function dependencyTrees(
  request: ResolveRequest,
  options: TreeOptions = {},
): Promise<DependencyTrees> {
  const checked = checkOptions<TreeOptions>(options, { registry: registryAccess });
  const asked = { ...checkRequest(request), terminfo: 'none', ldCache: 'copy' } as const;
  const closure = await resolveRequest(asked, { isAdvised: false, ...checked });
  const { missing, warnings } = closure;
  const programs = dependencyTree(closure);
  return { programs, total: totalOf(programs), missing, warnings };
}
