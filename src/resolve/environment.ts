import path from 'node:path';
import { ownVariable } from '../fs/own-environment.js';
import type { ResolveRequest } from '../manifest/request.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';

/** The environment that a request depends on. */
export interface ResolveEnvironment {
  /** Directories in which program names are looked up. */
  readonly searchPath: readonly string[];
  /** The base of relative paths, inside the sysroot. */
  readonly cwd: string;
  /** Terminals in use. */
  readonly terminals: readonly string[];
}

/** Returns the environment that the request specifies, or else that of the process. */
export function resolveEnvironment(request: ResolveRequest): ResolveEnvironment {
  const isHost = isHostRoot(request.sysroot);
  const [PATH, TERM] = [ownVariable('PATH'), ownVariable('TERM')];
  return {
    searchPath: request.path ?? (isHost && PATH ? PATH.split(':') : STANDARD_PATH),
    cwd: request.cwd ?? (isHost ? process.cwd() : '/'),
    terminals: request.terminals ?? (isHost && TERM ? [TERM] : []),
  };
}

/**
 * Returns an equivalent request that is independent of the working directory and environment:
 * relative paths are made absolute, PATH and TERM are included.
 */
export function settleRequest(request: ResolveRequest): ResolveRequest {
  const { searchPath, cwd, terminals } = resolveEnvironment(request);
  const { sysroot, cwd: _, include, ...others } = request;
  const absolute = (name: string) =>
    name.includes('/') && !name.startsWith('/') ? path.posix.join(cwd, name) : name;
  return {
    ...others,
    programs: request.programs.map(absolute),
    ...(isHostRoot(sysroot) || sysroot === undefined ? {} : { sysroot: path.resolve(sysroot) }),
    ...(include === undefined
      ? {}
      : {
          include: include.map((item) => ({ ...item, from: path.posix.resolve(cwd, item.from) })),
        }),
    path: searchPath,
    terminals,
  };
}

function isHostRoot(sysroot: string | undefined): boolean {
  return sysroot === undefined || path.resolve(sysroot) === '/';
}
