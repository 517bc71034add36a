import path from 'node:path';
import {
  type ScriptFacts,
  ScriptUnit,
  type ScriptWord,
} from '../../evidence/shell/script-facts.js';
import type { ShellSyntax } from '../../evidence/shell/syntax.js';
import { FILE_PATTERN } from '../../evidence/shell/values.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import { baseName } from '../../text/base-name.js';
import type { Resolution } from '../additions.js';
import { lookUpProgram } from '../find-program.js';
import type { ShellScript } from './script-resolver.js';

/** A fact about a script that only a run can determine, or that is unknown. */
export interface ScriptGap {
  /** The script that was requested or included, or that others run. */
  readonly script: string;
  /** The file concerned: the script itself, or a file that it sources. */
  readonly path: string;
  readonly kind: 'computed' | 'refused' | 'outside-path';
  /** A command as written in the script. */
  readonly text: string;
  readonly line: number;
}

/** The maximum size of a script in bytes; larger ones are self-extracting archives. */
const MAX_SIZE = 1 << 20;
/** The maximum size of all scripts together in bytes, which takes a second to read. */
const MAX_TOTAL = 8 << 20;
/** The maximum number of files that one script sources, directly or indirectly. */
const MAX_SOURCED = 200;

/** The minimum length of the known beginning of a command's name. */
const MIN_START = 3;

/** Reasons for which all commands of a script are added. */
const FOLLOWED: ReadonlySet<Reason['kind']> = new Set([
  'requested',
  'included',
  'account',
  'command',
  'sourced',
]);

/** Scripts that the system runs: by init, cron, or hooks. */
const SYSTEM = /^\/etc\//;

/** Returns whether a script that a package adds may add a program. */
export type IsBasic = (program: Trace) => boolean;

/**
 * Returns the shell scripts of a closure whose commands are to be added.
 *
 * @param isBasic undefined if scripts that packages add are not followed
 */
export function followedScripts(resolution: Resolution, isBasic?: IsBasic): ShellScript[] {
  const { files, programs } = resolution;
  return programs.shellScripts.filter(
    ({ trace }) =>
      isWanted(resolution, trace) ||
      (isBasic !== undefined &&
        (trace.stat.mode & 0o111) !== 0 &&
        !SYSTEM.test(trace.path) &&
        files.reasonsOf(trace.path).some(({ kind }) => kind === 'package')),
  );
}

/** Returns whether a script was requested, or is run by another one. */
function isWanted({ files }: Resolution, { path }: Trace): boolean {
  return files
    .reasonsOf(path)
    .some((reason) => FOLLOWED.has(reason.kind) || (reason.kind === 'profile' && 'as' in reason));
}

/**
 * Adds the commands that shell scripts run and the files that they source, as far as their text
 * determines them, and repeats this for commands that are scripts. Ignores what the sysroot lacks:
 * it is missing there, too.
 *
 * @param jailPath where commands are looked up when a script runs in the jail
 * @param isBasic decides on the commands of scripts that are only parts of packages; undefined to
 *   add none
 * @returns what could not be determined
 */
export function addScriptCommands(
  resolution: Resolution,
  syntax: ShellSyntax,
  jailPath: readonly string[],
  isBasic?: IsBasic,
): ScriptGap[] {
  const follower = new ScriptFollower(resolution, syntax, jailPath);
  const done = new Set<string>();
  for (;;) {
    const next = followedScripts(resolution, isBasic).find(({ trace }) => !done.has(trace.path));
    if (next === undefined) return follower.gaps;
    done.add(next.trace.path);
    follower.follow(next, isWanted(resolution, next.trace) ? undefined : isBasic);
  }
}

interface SourcedFile {
  readonly trace: Trace;
  readonly number: number;
}

class ScriptFollower {
  readonly gaps: ScriptGap[] = [];
  readonly #resolution: Resolution;
  readonly #syntax: ShellSyntax;
  readonly #jailPath: readonly string[];
  #left = MAX_TOTAL;
  #isBasic: IsBasic | undefined;

  constructor(resolution: Resolution, syntax: ShellSyntax, jailPath: readonly string[]) {
    this.#resolution = resolution;
    this.#syntax = syntax;
    this.#jailPath = jailPath;
  }

  /** @param isBasic decides what the script may add; undefined for everything that it runs */
  follow({ trace, shell }: ShellScript, isBasic?: IsBasic): void {
    this.#isBasic = isBasic;
    const unit = new ScriptUnit(this.#syntax, shell);
    const files: SourcedFile[] = [];
    if (!this.#read(unit, trace, files)) {
      this.#gap(trace, trace, 'refused', { text: '', line: 1 });
      return;
    }
    this.#addSources(unit, trace, files);
    const facts = files.map(({ number }) => unit.factsOf(number));
    // Scripts of one tool find each other through a PATH that they set.
    const beside = trace.path.slice(0, trace.path.lastIndexOf('/'));
    const searchPath = [...facts.flatMap((item) => item.searchPath), ...this.#jailPath, beside];
    for (const [at, file] of files.entries()) {
      const own = facts[at];
      if (own !== undefined) this.#addFacts(trace, file.trace, own, searchPath);
    }
  }

  /** Adds sourced files, which may source others, also through variables. */
  #addSources(unit: ScriptUnit, script: Trace, files: SourcedFile[]): void {
    const seen = new Set<string>([script.path]);
    for (let grew = true; grew && files.length < MAX_SOURCED; ) {
      grew = false;
      for (const { trace: by, number } of [...files]) {
        const { sources, searchPath } = unit.factsOf(number);
        for (const source of sources) {
          for (const found of this.#sourced(source.text, [...searchPath, ...this.#jailPath])) {
            if (seen.has(found.path)) continue;
            seen.add(found.path);
            this.#addSource(found, { kind: 'sourced', by: by.path, line: source.line });
            if (this.#read(unit, found, files)) grew = true;
          }
        }
      }
    }
  }

  #addSource(found: Trace, reason: Reason): void {
    const { files, programs } = this.#resolution;
    files.add(found, reason);
    programs.addRunnable(found);
  }

  /** Returns the files that a script sources by a path, a name on PATH, or a pattern. */
  #sourced(name: string, searchPath: readonly string[]): Trace[] {
    const { sysroot } = this.#resolution;
    const isAllowed = (trace: Trace | undefined): trace is Trace =>
      // A file that is not world-readable is not added unless it is named.
      trace?.stat.type === 'file' && (trace.stat.mode & 0o004) !== 0;
    const [, directory = '', before = '', after = ''] = FILE_PATTERN.exec(name) ?? [];
    const names = directory === '' ? [name] : namesIn(sysroot, directory, before, after);
    return names.map((item) => this.#traceOf(item, searchPath)).filter(isAllowed);
  }

  #traceOf(name: string, searchPath: readonly string[]): Trace | undefined {
    const { sysroot } = this.#resolution;
    const places = name.includes('/') ? [''] : searchPath.map((item) => `${item}/`);
    if (name.includes('/') && !name.startsWith('/')) return undefined;
    for (const place of places) {
      const found = sysroot.trace(path.posix.normalize(`${place}${name}`));
      if (isTrace(found) && found.stat.type === 'file') return found;
    }
    return undefined;
  }

  #read(unit: ScriptUnit, trace: Trace, files: SourcedFile[]): boolean {
    const { size } = trace.stat;
    if (size > MAX_SIZE || size > this.#left) return false;
    this.#left -= size;
    const own = [...new Set([...trace.links.map((link) => link.path), trace.path])];
    const number = unit.add(this.#resolution.sysroot.readText(trace), own);
    files.push({ trace, number });
    return true;
  }

  #addFacts(
    script: Trace,
    file: Trace,
    { commands, computed, isRefused }: ScriptFacts,
    searchPath: readonly string[],
  ): void {
    const { sysroot, programs } = this.#resolution;
    for (const { text: name, line } of commands) {
      if (name.includes('/') && !name.startsWith('/')) continue;
      const at = name.startsWith('/') ? path.posix.normalize(name) : name;
      const found = lookUpProgram(sysroot, at, searchPath);
      if (found !== undefined) {
        if (this.#isBasic?.(found) === false) continue;
        programs.addCommand(found, { kind: 'command', by: file.path, name, line });
      } else if (lookUpProgram(sysroot, at, this.#resolution.searchPath) !== undefined) {
        this.#gap(script, file, 'outside-path', { text: name, line });
      }
    }
    for (const word of this.#isBasic === undefined ? computed : []) {
      const found = this.#startingWith(word.start, searchPath);
      for (const item of found) {
        const name = baseName(item.path);
        programs.addCommand(item, { kind: 'command', by: file.path, name, line: word.line });
      }
      if (found.length === 0) this.#gap(script, file, 'computed', word);
    }
    if (isRefused) this.#gap(script, file, 'refused', { text: '', line: 1 });
  }

  /** Returns programs in a tool's own directories by the start of their names: `tool-$command`. */
  #startingWith(start: string, searchPath: readonly string[]): Trace[] {
    const { sysroot } = this.#resolution;
    if (start.length < MIN_START || !/^[\w.+-]+$/.test(start)) return [];
    const own = new Set(searchPath.filter((directory) => !this.#jailPath.includes(directory)));
    return [...own]
      .flatMap((directory) => namesIn(sysroot, directory, start, ''))
      .flatMap((name) => lookUpProgram(sysroot, name, []) ?? []);
  }

  #gap(script: Trace, file: Trace, kind: ScriptGap['kind'], { text, line }: ScriptWord): void {
    // A part of a package may never be run.
    if (this.#isBasic !== undefined) return;
    this.gaps.push({ script: script.path, path: file.path, kind, text, line });
  }
}

function namesIn(sysroot: Sysroot, directory: string, before: string, after: string): string[] {
  const found = sysroot.trace(directory);
  if (!isTrace(found) || found.stat.type !== 'directory') return [];
  return sysroot
    .list(found)
    .filter((name) => name.startsWith(before) && name.endsWith(after) && !name.startsWith('.'))
    .map((name) => `${directory}/${name}`);
}
