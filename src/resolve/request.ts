import type { AccountRequest } from '../profile/account.js';
import type { IncludeRequest } from '../profile/include.js';

/** Which terminal descriptions to bring: all, none, the usual ones, or these. */
export type TerminfoChoice = 'default' | 'all' | 'none' | readonly string[];

/** Where the jail's /etc/ld.so.cache comes from. */
export type LdCacheChoice = 'generate' | 'copy' | 'none';

/** What a jail is asked to hold. */
export interface ResolveRequest {
  /** Names to look up on `path`, or paths. */
  readonly programs: readonly string[];
  /** Names of profiles, or absolute paths of the user's own. */
  readonly profiles?: readonly string[];
  /** Users for the jail's passwd(5) and group(5), beside those of profiles. */
  readonly users?: readonly AccountRequest[];
  /** Files beside what the programs and profiles need. */
  readonly include?: readonly IncludeRequest[];
  /** Patterns of paths in the jail to leave out. */
  readonly exclude?: readonly string[];
  readonly terminfo?: TerminfoChoice;
  /**
   * `generate`, the default, makes an /etc/ld.so.cache of the jail's own libraries; `copy` brings the
   * host's. With `none` the loader in the jail has its other rules only.
   */
  readonly ldCache?: LdCacheChoice;
  /** Absolute directories that the programs will have in LD_LIBRARY_PATH. */
  readonly libraryPath?: readonly string[];
  /** The directory that is taken as `/`. The default is the host's own root. */
  readonly sysroot?: string;
  /** Directories for bare program names; the default is PATH of the environment. */
  readonly path?: readonly string[];
  /** Where relative program paths start; the default is the working directory. */
  readonly cwd?: string;
  /** The terminal in use, one of the usual ones; the default is TERM of the environment. */
  readonly term?: string;
}
