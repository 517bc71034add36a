import type { Trace } from '../../fs/sysroot.js';
import type { Resolution } from '../additions.js';
import type { FoundProgram } from '../find-program.js';

/** What packages add other than files. */
export interface Brought {
  readonly warnings: readonly string[];
  /** Character sets and locales that the programs need. */
  readonly gconv: readonly string[];
  readonly locales: readonly string[];
  /** Users of the sysroot that configuration of the programs' packages names, and the jail lacks. */
  readonly users: readonly string[];
  /**
   * Returns whether scripts of packages may add a program: one of every system, or of the packages'
   * dependencies.
   */
  readonly isBasic?: (program: Trace) => boolean;
  /**
   * Adds what the programs need that requested shell scripts run, once the commands of these are
   * added; undefined if there are no such programs.
   */
  readonly complete?: () => Brought | undefined;
}

/** Adds packages to a closure. */
export type BringPackages = (resolution: Resolution, requested: readonly FoundProgram[]) => Brought;
