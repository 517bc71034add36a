import type { AccountRequest } from '../manifest/account-request.js';
import type { DlopenChoice, TerminfoChoice } from '../manifest/request.js';

/** One, or several of which the first that there is counts. */
export type Alternatives = string | readonly string[];

/** A program by name or path. */
export interface ProgramSpec {
  readonly name: Alternatives;
  /** Without it the profile does without. */
  readonly optional?: boolean;
}

/** Files of the sysroot, or one that is made. */
export interface FileSpec {
  /**
   * Absolute paths or patterns; a directory stands for all that is in it. `${NAME:prefix}` is the
   * directory above that of the program NAME, `${NAME:base}` its name, both without links.
   */
  readonly path: Alternatives;
  readonly optional?: boolean;
  /** Take what every alternative finds, not the first that finds something. */
  readonly all?: boolean;
  /** Patterns of paths to leave out. */
  readonly except?: readonly string[];
  /** A regular file with what the path leads to, where the sysroot has a link. */
  readonly follow?: boolean;
  /** The text of a file that is made. */
  readonly content?: string;
  /** Of a file that is made; the default is 0644. */
  readonly mode?: string;
  readonly owner?: Alternatives | number;
  readonly group?: Alternatives | number;
}

/** A directory that is made, empty. */
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

/** A user, under the first of its names that the sysroot has. */
export interface UserSpec extends Omit<AccountRequest, 'name'> {
  readonly name: Alternatives;
  readonly optional?: boolean;
}

/** What one kind of work needs beside libraries. templates/schema/profile.schema.json is the same. */
export interface ProfileContent {
  readonly summary: string;
  /** Profiles that this one builds on, by name, or by path relative to its own file. */
  readonly include?: readonly string[];
  readonly programs?: readonly (string | ProgramSpec)[];
  /** Bring the login shell of every user of the jail. */
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
  /** What the administrator has to do beside. */
  readonly notes?: string;
}

export interface Profile extends ProfileContent {
  readonly name: string;
  /** The file that it is from. */
  readonly path: string;
}
