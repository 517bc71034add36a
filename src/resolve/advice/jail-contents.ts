import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import { baseName } from '../../text/base-name.js';
import type { Resolution } from '../additions.js';
import type { RunKind } from '../file-collection.js';
import type { ReadFile } from '../originals.js';
import { hasUser } from '../usage/configured-users.js';

/** Reasons for which a jail has programs, their libraries, and what scripts run. */
const LOADED: ReadonlySet<Reason['kind']> = new Set([
  'requested',
  'needed',
  'interpreter',
  'link-target',
  'shebang',
  'env',
  'command',
  'sourced',
]);

const [YES, NO] = ['1', '0'] as const;
/** Separates paths in an answer; no path contains it. */
const SEPARATOR = '\0';

/** Answers questions about a resolved jail as text, so that advice can be kept with the answers that it depends on. */
export class JailContents {
  readonly #resolution: Resolution;
  readonly #probe: Sysroot;
  /** Paths of shell scripts whose commands are known. */
  readonly #followed: ReadonlySet<string>;
  /** Paths of libraries, by the names with which objects need them. */
  #libraries: ReadonlyMap<string, string> | undefined;

  constructor(resolution: Resolution, probe: Sysroot, followed: ReadonlySet<string>) {
    this.#resolution = resolution;
    this.#probe = probe;
    this.#followed = followed;
  }

  /** Returns the answer to a question of {@link AskedJail.asked}. */
  answer(question: string): string {
    const cut = question.indexOf(' ');
    const about = question.slice(cut + 1);
    switch (question.slice(0, cut)) {
      case 'has':
        return this.#resolution.files.has(about) ? YES : NO;
      case 'holds':
        return this.#holds(about) ? YES : NO;
      case 'user':
        return hasUser(this.#resolution.files, about) ? YES : NO;
      case 'followed':
        return this.#followed.has(about) ? YES : NO;
      case 'library':
        return this.#named().get(about) ?? '';
      case 'libraries':
        return [...this.#named().values()].join(SEPARATOR);
      case 'read': {
        const trace = this.#probe.trace(about);
        return isTrace(trace) && this.read(trace).elf !== undefined ? YES : NO;
      }
      default: {
        const [kinds = '', script = ''] = about.split(SEPARATOR);
        return this.#resolution.files
          .runBy(script, ...(kinds.split(',') as RunKind[]))
          .join(SEPARATOR);
      }
    }
  }

  /** Returns what was read of a file. */
  read({ stat }: Trace): ReadFile {
    return this.#resolution.programs.read(stat.identity);
  }

  /** A directory holds something if the jail has anything in it but what the loader needs. */
  #holds(directory: string): boolean {
    for (const file of this.#resolution.files.below(directory)) {
      if (!file.reasons.every(isOfLoader) && file.stat.type !== 'directory') return true;
    }
    return false;
  }

  #named(): ReadonlyMap<string, string> {
    const { files, programs } = this.#resolution;
    this.#libraries ??= new Map(
      files.withReason('needed').map((path) => {
        const identity = files.at(path)?.stat.identity ?? '';
        return [programs.read(identity).elf?.dynamic?.soname ?? baseName(path), path];
      }),
    );
    return this.#libraries;
  }
}

/** A resolved jail as the advice on one program sees it, with everything that it asked. */
export class AskedJail {
  readonly #contents: JailContents;
  readonly #asked = new Map<string, string>();

  constructor(contents: JailContents) {
    this.#contents = contents;
  }

  /** The questions so far and their answers. */
  get asked(): ReadonlyMap<string, string> {
    return this.#asked;
  }

  has(path: string): boolean {
    return this.#ask(`has ${path}`) === YES;
  }

  /** Returns whether the jail has anything below a directory but what the loader needs. */
  holds(directory: string): boolean {
    return this.#ask(`holds ${directory}`) === YES;
  }

  hasUser(name: string): boolean {
    return this.#ask(`user ${name}`) === YES;
  }

  /** Returns whether the commands of a shell script are known. */
  isFollowed(script: string): boolean {
    return this.#ask(`followed ${script}`) === YES;
  }

  /** Returns the path of the library that objects need by a name. */
  library(name: string): string | undefined {
    return this.#ask(`library ${name}`) || undefined;
  }

  /** Returns the paths of all libraries that objects need. */
  libraries(): string[] {
    return pathsOf(this.#ask('libraries '));
  }

  /** Returns the regular files that a script runs: see `FileCollection.runBy`. */
  runBy(script: string, ...kinds: readonly RunKind[]): string[] {
    return pathsOf(this.#ask(`runs ${kinds.join(',')}${SEPARATOR}${script}`));
  }

  /** Returns what was read of a file, which depends on the file alone if it was read at all. */
  read(trace: Trace): ReadFile {
    const read = this.#contents.read(trace);
    this.#asked.set(`read ${trace.path}`, read.elf === undefined ? NO : YES);
    return read;
  }

  #ask(question: string): string {
    let answer = this.#asked.get(question);
    if (answer === undefined) {
      answer = this.#contents.answer(question);
      this.#asked.set(question, answer);
    }
    return answer;
  }
}

function pathsOf(answer: string): string[] {
  return answer === '' ? [] : answer.split(SEPARATOR);
}

function isOfLoader({ kind }: Reason): boolean {
  return LOADED.has(kind);
}
