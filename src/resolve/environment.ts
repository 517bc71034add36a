import path from 'node:path';
import type { ResolveRequest } from '../manifest/request.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';

/** The environment that a request depends on. */
export interface ResolveEnvironment {
  /** Directories for bare program names. */
  readonly searchPath: readonly string[];
  /** Where relative paths start, inside the sysroot. */
  readonly cwd: string;
  /** Terminals in use. */
  readonly terminals: readonly string[];
}

/** The environment that the request gives, otherwise that of the process. */
export function resolveEnvironment(request: ResolveRequest): ResolveEnvironment {
  const isHost = isHostRoot(request.sysroot);
  const { PATH, TERM } = process.env;
  return {
    searchPath: request.path ?? (isHost && PATH ? PATH.split(':') : STANDARD_PATH),
    cwd: request.cwd ?? (isHost ? process.cwd() : '/'),
    terminals: request.terminals ?? (isHost && TERM ? [TERM] : []),
  };
}

/**
 * The same request in words that mean the same in any directory and environment: relative paths are
 * made absolute, PATH and TERM are written down.
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
