import path from 'node:path';
import type { ResolveRequest } from '../manifest/request.js';

/** What login(1) and the C library take where PATH is not set. */
export const DEFAULT_SEARCH_PATH: readonly string[] =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'.split(':');

/** What a request means beside its words. */
export interface ResolveEnvironment {
  /** Directories for bare program names. */
  readonly searchPath: readonly string[];
  /** Where relative paths start, inside the sysroot. */
  readonly cwd: string;
  /** Terminals in use. */
  readonly terminals: readonly string[];
}

/** What the request says of its resolveEnvironment, or else the process's environment and directory. */
export function resolveEnvironment(request: ResolveRequest): ResolveEnvironment {
  const isHost = isHostRoot(request.sysroot);
  const { PATH, TERM } = process.env;
  return {
    searchPath: request.path ?? (isHost && PATH ? PATH.split(':') : DEFAULT_SEARCH_PATH),
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
