import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { IncludeRequest } from '../manifest/include-request.js';
import type { Reason } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import type { Resolution } from '../resolve/additions.js';
import { resolveEnvironment } from '../resolve/environment.js';
import { glob, isMagic, type Match } from './glob.js';

/** Files that the user includes at another place in the jail. */
export class PlacedIncludes {
  readonly #resolution: Resolution;
  readonly #reasons = new Map<string, Reason>();

  constructor(resolution: Resolution) {
    this.#resolution = resolution;
  }

  /**
   * Puts what an include names at its place, so that look-ups in the jail find it.
   *
   * @throws JailbuildError INCLUDE_NOT_FOUND, CONFLICT, USAGE
   */
  place({ from, to }: IncludeRequest & { readonly to: string }): void {
    const { sysroot, files } = this.#resolution;
    const [only, ...others] = includeMatches(this.#resolution, from);
    if (only === undefined || others.length > 0) {
      throw new JailbuildError('USAGE', `include ${from}:${to}: matches more than one path`, from);
    }
    const name = path.posix.basename(only.path);
    let at = path.posix.join('/', to.endsWith('/') ? `${to}/${name}` : to);
    const there = sysroot.trace(at);
    if (isTrace(there) && there.stat.type === 'directory') {
      if (only.trace.stat.type !== 'directory') {
        throw new JailbuildError(
          'CONFLICT',
          `include ${from}:${to}: ${at} is a directory; end the destination with / to put the file inside`,
          at,
        );
      }
      // A directory is merged with the one that a link leads to.
      at = there.path;
    }
    if (at === '/') {
      throw new JailbuildError('USAGE', `include ${from}:${to}: would be the root itself`, from);
    }
    const reason: Reason = { kind: 'included', as: from };
    for (const placed of files.addElsewhere(only.trace, at, reason)) {
      this.#reasons.set(placed, reason);
    }
  }

  /**
   * Adds what the placed files need at their place: libraries, interpreters of scripts, and what links
   * lead to.
   *
   * @returns warnings
   */
  resolve(): string[] {
    const { sysroot, sources, files, programs } = this.#resolution;
    const warnings: string[] = [];
    for (const [at, reason] of this.#reasons) {
      const entry = files.at(at);
      if (entry?.stat.type === 'file') {
        const trace = sysroot.trace(at);
        if (isTrace(trace)) programs.addRunnable(trace);
      } else if (entry?.stat.type === 'socket') {
        files.remove([at]);
        warnings.push(`${entry.source}: is a socket, left out`);
      } else if (entry?.stat.type === 'symlink') {
        const trace = sysroot.trace(at);
        if (isTrace(trace)) files.add(trace, reason);
        else if (isTrace(sources.trace(entry.source))) {
          warnings.push(
            `${at}: leads to ${entry.target}, which is not there from its place in the jail: include that too`,
          );
        }
      }
    }
    return warnings;
  }
}

/** Returns the paths of directories that are included with all that is below them, as far as no pattern names them. */
export function includedTrees(
  sources: Sysroot,
  { include = [], ...request }: ResolveRequest,
): string[] {
  const { cwd } = resolveEnvironment(request);
  return include.flatMap(({ from }) => {
    if (isMagic(from)) return [];
    const found = sources.trace(path.posix.resolve(cwd, from));
    return isTrace(found) && found.stat.type === 'directory' ? [found.path] : [];
  });
}

/**
 * The files that an include names.
 *
 * @throws JailbuildError INCLUDE_NOT_FOUND, NOT_READABLE
 */
export function includeMatches({ sources, cwd }: Resolution, from: string): readonly Match[] {
  const pattern = path.posix.normalize(from.startsWith('/') ? from : `${cwd}/${from}`);
  const matches = glob(sources, pattern);
  const astray = leadingAstray(sources, pattern, matches);
  if (astray !== undefined) {
    throw new JailbuildError(
      'NOT_READABLE',
      `${from}: passes ${astray}, a symbolic link that others can change: name what it leads to`,
      from,
    );
  }
  if (matches.length === 0) {
    throw new JailbuildError('INCLUDE_NOT_FOUND', `${from}: nothing is there to include`, from);
  }
  return matches;
}

/**
 * A link of others by which an include would bring a directory, or a file that is not for everyone,
 * that they have no hand in: who may write below what is included does not choose what that is.
 */
function leadingAstray(
  sysroot: Sysroot,
  pattern: string,
  matches: readonly Match[],
): string | undefined {
  if (matches.length === 0) {
    const found = sysroot.trace(pattern);
    return !isTrace(found) && found.errno === 'EACCES' ? found.at : undefined;
  }
  return matches.map(({ trace }) => sysroot.astrayBy(trace)).find((link) => link !== undefined);
}
