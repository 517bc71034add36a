import { errnoText, JailbuildError } from '../errors.js';
import { isTrace, type Trace, type TraceFailure } from '../fs/sysroot.js';
import type { Reason } from '../manifest/manifest.js';
import type { Resolution } from '../resolve/additions.js';
import { isSurveyedData } from '../resolve/surveyed-data.js';
import type { Match } from './glob.js';
import type { MadeEntries } from './made-entries.js';

/**
 * The maximum size in bytes of a file copied by `follow`; configuration files have a few kilobytes.
 */
const MAX_FOLLOWED = 1 << 20;

/** Adds the files of the sysroot that patterns of profiles and includes match. */
export class MatchedFiles {
  readonly #resolution: Resolution;
  readonly #warnings: string[];

  /** @param warnings receives one for each file that is left out */
  constructor(resolution: Resolution, warnings: string[]) {
    this.#resolution = resolution;
    this.#warnings = warnings;
  }

  /** Adds a file with its dependencies, or a directory with all files below it. */
  add({ path, trace }: Match, reason: Reason, except: (path: string) => boolean): void {
    if (except(path)) return;
    const { files } = this.#resolution;
    if (trace.stat.type === 'directory') {
      files.add(trace, reason);
      this.#addBelow(trace, reason, except);
    } else if (this.#isSocket(path, trace)) {
      return;
    } else {
      files.add(trace, reason);
      if (trace.stat.type === 'file') this.#addNeeds(trace, reason);
    }
  }

  /**
   * Adds the dependencies of a file. Profiles list the programs that their scripts need; includes
   * do not.
   */
  #addNeeds(trace: Trace, reason: Reason): void {
    const { programs } = this.#resolution;
    if (reason.kind === 'included') programs.addRunnable(trace);
    else programs.addObject(trace);
  }

  #addBelow(directory: Trace, reason: Reason, except: (path: string) => boolean): void {
    const { sysroot, files } = this.#resolution;
    for (const name of sysroot.list(directory)) {
      const path = `${directory.path === '/' ? '' : directory.path}/${name}`;
      if (except(path)) continue;
      if (isSurveyedData(sysroot, path)) {
        files.addData(path, reason);
        continue;
      }
      const trace = sysroot.trace(path);
      if (!isTrace(trace)) {
        this.#addUnreached(path, trace, reason);
        continue;
      }
      if (this.#isSocket(path, trace)) continue;
      const { type } = trace.stat;
      files.add(trace, reason);
      if (type === 'file') this.#addNeeds(trace, reason);
      // The target of a link is not below this directory.
      else if (type === 'directory' && trace.links.length === 0) {
        this.#addBelow(trace, reason, except);
      }
    }
  }

  /**
   * Returns whether a file is a socket, with a warning: servers create the sockets that they listen
   * on.
   */
  #isSocket(path: string, { stat }: Trace): boolean {
    if (stat.type === 'socket') this.#warnings.push(`${path}: is a socket: left out`);
    return stat.type === 'socket';
  }

  /** Adds a name in a directory that cannot be looked up: a link is kept unchanged. */
  #addUnreached(path: string, { errno, at }: TraceFailure, reason: Reason): void {
    const { sysroot, files } = this.#resolution;
    if (sysroot.typeOf(path) !== 'symlink') {
      this.#warnings.push(`${path}: ${errnoText(errno)}: left out`);
      return;
    }
    files.addLink(path, reason);
    if (errno === 'EACCES') {
      this.#warnings.push(
        `${at}: is a symbolic link that others can change, to a file that is not world-readable: kept without its target`,
      );
    }
  }

  /** Adds a regular file at a path with the content of its target. */
  addFollowed({ path, trace }: Match, made: MadeEntries, reason: Reason): void {
    const { sysroot } = this.#resolution;
    const { type, size, mode, uid, gid, mtimeNs } = trace.stat;
    if (type !== 'file') return;
    if (size > MAX_FOLLOWED) {
      throw new JailbuildError(
        'NOT_READABLE',
        `${path}: is larger than ${MAX_FOLLOWED} bytes`,
        path,
      );
    }
    const reader = sysroot.open(trace);
    try {
      const content = reader.read(0, reader.size);
      made.make(path, { type: 'file', content, mode, uid, gid, mtimeNs }, reason);
    } finally {
      reader.close();
    }
  }
}
