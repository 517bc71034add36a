import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { CONFIGURATION, HEADER, LIBRARY, NOISE, PROGRAM } from '../usage/file-kinds.js';
import type { AskedJail } from './jail-contents.js';

/** The minimum length of significant file names, unlike `as` or `data`. */
const MIN_NAME = 5;
/** Shorter names of programs are parts of others by chance. */
const MIN_ORIGINAL = 4;

/** Tells which files of the host a resolved jail lacks. */
export class AbsentFiles {
  readonly #probe: Sysroot;
  readonly #jail: AskedJail;

  constructor(probe: Sysroot, jail: AskedJail) {
    this.#probe = probe;
    this.#jail = jail;
  }

  /** Returns whether the jail lacks a run-time file other than a program, library or header. */
  isAbsentFile(file: string, withConfiguration = false): boolean {
    if (!isRunTimeFile(file) || NOISE.test(file) || PROGRAM.test(file)) return false;
    if (HEADER.test(file) || (CONFIGURATION.test(file) && !withConfiguration)) return false;
    const name = baseName(file);
    if (LIBRARY.test(file) || name.length < MIN_NAME || /\/s?bin\//.test(file)) return false;
    return this.isAbsent(file);
  }

  /** Returns whether the host has a file that the jail lacks. */
  isAbsent(file: string): boolean {
    const trace = this.#probe.trace(file);
    return isTrace(trace) && trace.stat.type === 'file' && !this.#jail.has(trace.path);
  }

  /** Returns whether the jail lacks a program, other than the one that names it. */
  isAbsentProgram(file: string, by: Trace): boolean {
    if (!PROGRAM.test(file) || baseName(file).length < MIN_NAME) return false;
    const trace = this.#probe.trace(file);
    if (!isTrace(trace) || trace.stat.type !== 'file' || trace.path === by.path) return false;
    return !this.#jail.has(trace.path);
  }

  /**
   * Returns whether a program is a variant of an absent one, according to its name, and may start it
   * by name: `diff3` of `diff`.
   */
  isAbsentOriginal(file: string, by: Trace): boolean {
    if (!PROGRAM.test(file)) return false;
    const [own, name] = [baseName(by.path), baseName(file)];
    if (name.length < MIN_ORIGINAL || own === name || !own.includes(name)) return false;
    // `systemd-cat` and `passt.avx2` are a tool and a build of what their names begin with.
    if (own.startsWith(name) && /^[-.]/.test(own.slice(name.length))) return false;
    return this.isAbsent(file);
  }

  /** Returns whether the jail has what a path leads to. */
  has(path: string): boolean {
    const trace = this.#probe.trace(path);
    return isTrace(trace) && this.#jail.has(trace.path);
  }

  isThere({ path, stat }: Trace): boolean {
    return stat.type !== 'directory' && this.#jail.has(path);
  }

  /** A directory is there if the jail has anything in it but what the loader needs. */
  holds(trace: Trace): boolean {
    return trace.stat.type === 'directory' ? this.#jail.holds(trace.path) : this.isThere(trace);
  }
}
