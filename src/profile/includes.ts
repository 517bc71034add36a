import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { IncludeRequest } from '../manifest/include-request.js';
import type { Reason } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import type { Resolution } from '../resolve/additions.js';
import { resolveEnvironment } from '../resolve/environment.js';
import { glob, isMagic, type Match } from './glob.js';

const NONE: string[] = [];

/** Files that the user includes at another path of the jail. */
export class PlacedIncludes {
  readonly #resolution: Resolution;
  readonly #placed: { readonly paths: readonly string[]; readonly reason: Reason }[] = [];

  constructor(resolution: Resolution) {
    this.#resolution = resolution;
  }

  /**
   * Places the files of an include, so that look-ups in the jail find them.
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
      // A directory is merged with the target of a link.
      at = there.path;
    }
    if (at === '/') {
      throw new JailbuildError(
        'USAGE',
        `include ${from}:${to}: the destination is the root itself: name a path below it`,
        from,
      );
    }
    const reason: Reason = { kind: 'included', as: from };
    this.#placed.push({ paths: files.addElsewhere(only.trace, at, reason), reason });
  }

  /**
   * Adds what the placed files need at their new paths: libraries, interpreters of scripts, and
   * targets of links.
   *
   * @returns warnings
   */
  resolve(): string[] {
    const warnings: string[] = [];
    for (const { paths, reason } of this.#placed) {
      for (const at of paths) warnings.push(...this.#addNeeds(at, reason));
    }
    return warnings;
  }

  #addNeeds(at: string, reason: Reason): string[] {
    const { sysroot, sources, files, programs } = this.#resolution;
    if (files.isData(at)) return NONE;
    const entry = files.at(at);
    if (entry?.stat.type === 'file') {
      const trace = sysroot.trace(at);
      if (isTrace(trace)) programs.addRunnable(trace);
    } else if (entry?.stat.type === 'socket') {
      files.remove([at]);
      return [`${entry.source}: is a socket: left out`];
    } else if (entry?.stat.type === 'symlink') {
      const trace = sysroot.trace(at);
      if (isTrace(trace)) files.add(trace, reason);
      else if (isTrace(sources.trace(entry.source))) {
        return [
          `${at}: leads to ${entry.target}, which does not exist from its path in the jail: include it too`,
        ];
      }
    }
    return NONE;
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
 * Returns the files that an include matches.
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
 * Returns a link of other users through which an include would add a directory or a
 * non-world-readable file outside their control: those who may write below an included directory
 * must not choose what is included.
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
