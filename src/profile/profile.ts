import type { AccountRequest } from '../manifest/account-request.js';
import type { DlopenChoice, TerminfoChoice } from '../manifest/request.js';

/** One value, or several of which the first one that exists is used. */
export type Alternatives = string | readonly string[];

/** A program by name or path. */
export interface ProgramSpec {
  readonly name: Alternatives;
  /** Whether the profile works without it. */
  readonly optional?: boolean;
}

/** Files of the sysroot, or a file that is made. */
export interface FileSpec {
  /**
   * Absolute paths or patterns; a directory stands for all its content. `${NAME:prefix}` is the
   * directory above that of the program NAME, `${NAME:base}` its name, both after following links.
   */
  readonly path: Alternatives;
  readonly optional?: boolean;
  /** Add the matches of every alternative, not of the first one with matches. */
  readonly all?: boolean;
  /** Patterns of paths to leave out. */
  readonly except?: readonly string[];
  /** If the path is a link in the sysroot, make it a regular file with the target's content. */
  readonly follow?: boolean;
  /** The content of a file that is made. */
  readonly content?: string;
  /** The mode of a file that is made; the default is 0644. */
  readonly mode?: string;
  readonly owner?: Alternatives | number;
  readonly group?: Alternatives | number;
}

/** A new, empty directory. */
export interface DirectorySpec {
  readonly path: string;
  /** The default is 0755. */
  readonly mode?: string;
  /** Users by name or number; the default is root. */
  readonly owner?: Alternatives | number;
  readonly group?: Alternatives | number;
}

export interface LinkSpec {
  readonly path: string;
  readonly target: string;
}

export interface DeviceSpec {
  readonly path: string;
  readonly type: 'character' | 'block' | 'fifo';
  readonly major?: number;
  readonly minor?: number;
  /** The default is 0666. */
  readonly mode?: string;
  readonly owner?: Alternatives | number;
  readonly group?: Alternatives | number;
}

/** A user, under the first of its names that exists in the sysroot. */
export interface UserSpec extends Omit<AccountRequest, 'name'> {
  readonly name: Alternatives;
  readonly optional?: boolean;
}

/** What a kind of task needs besides libraries. templates/schema/profile.schema.json matches it. */
export interface ProfileContent {
  readonly summary: string;
  /** Profiles that this one builds on, by name, or by path relative to its own file. */
  readonly include?: readonly string[];
  readonly programs?: readonly (string | ProgramSpec)[];
  /** Add the login shell of every user of the jail. */
  readonly 'user-shells'?: boolean;
  readonly files?: readonly (string | FileSpec)[];
  readonly directories?: readonly (string | DirectorySpec)[];
  readonly links?: readonly LinkSpec[];
  readonly devices?: readonly DeviceSpec[];
  readonly users?: readonly (string | UserSpec)[];
  readonly groups?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly terminfo?: Exclude<TerminfoChoice, 'default'>;
  readonly nss?: 'none';
  readonly dlopen?: DlopenChoice;
  readonly gconv?: 'all' | readonly string[];
  readonly locales?: readonly string[];
  readonly 'ca-certificates'?: boolean;
  readonly 'time-zones'?: 'all' | readonly string[];
  /** What the administrator must do in addition. */
  readonly notes?: string;
}

export interface Profile extends ProfileContent {
  readonly name: string;
  /** The profile's file. */
  readonly path: string;
}
