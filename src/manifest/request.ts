import type { AccountRequest } from './account-request.js';
import type { IncludeRequest } from './include-request.js';

/**
 * Which terminal descriptions to bring: all, none, the usual ones, or these. The word `default` among
 * names stands for the usual ones.
 */
export type TerminfoChoice = 'default' | 'all' | 'none' | readonly string[];

/** Which libraries are included that programs declare to open themselves. */
export type DlopenChoice = 'required' | 'recommended' | 'suggested' | 'none';

/** Where the jail's /etc/ld.so.cache comes from. */
export type LdCacheChoice = 'generate' | 'copy' | 'none';

/** What is included with a file that a run used: nothing, its directory, or its package. */
export type TraceScope = 'files' | 'directories' | 'packages';

/** The image, or the packages, that a sysroot was unpacked from. */
export interface SysrootImage {
  /** As `--sysroot` takes it, with absolute paths. */
  readonly reference: string;
  /** Of an image, which of several platforms: `OS/ARCHITECTURE[/VARIANT]`. */
  readonly platform?: string;
  /** The digest of an image's configuration, and so of all its content; of packages, one of them all. */
  readonly id: string;
}

/** What a jail is to contain. */
export interface ResolveRequest {
  /** Names to look up on `path`, or paths. */
  readonly programs: readonly string[];
  /** Names of profiles, or absolute paths of the user's own. */
  readonly profiles?: readonly string[];
  /** Users for passwd(5) and group(5) of the jail, in addition to those of profiles. */
  readonly users?: readonly AccountRequest[];
  /** Files in addition to what programs and profiles need. */
  readonly include?: readonly IncludeRequest[];
  /** Directories of the sysroot to bring without what is in them. */
  readonly directories?: readonly string[];
  /** Patterns of paths in the jail to leave out. */
  readonly exclude?: readonly string[];
  /** Absolute paths of traces; the files that the runs used are included. */
  readonly traces?: readonly string[];
  /** How far what a run used is taken to speak for its surroundings; the default is `files`. */
  readonly traceScope?: TraceScope;
  /** Go on although what a trace has is no longer there. */
  readonly allowStaleTraces?: boolean;
  /** Packages of which to bring the files that programs may open when they run. */
  readonly packages?: readonly string[];
  /** The same of the packages that own the programs, with what belongs to these. */
  readonly withPackage?: boolean;
  /** Depth to which dependencies of packages are followed; the default is 0. */
  readonly packageDepends?: 'all' | number;
  /** Follow them to essential packages as well, which every system has. */
  readonly packageEssential?: boolean;
  /** Bring documentation, translations, headers and static libraries of packages too. */
  readonly packageDocs?: boolean;
  /**
   * `auto`, the default, brings the commands that shell scripts run, and the files that they source, as
   * far as their text tells.
   */
  readonly scriptCommands?: 'auto' | 'none';
  readonly terminfo?: TerminfoChoice;
  /**
   * Libraries that an ELF file's note says it opens (.note.dlopen): those of this priority and
   * higher ones. The default is `required`.
   */
  readonly dlopen?: DlopenChoice;
  /**
   * `auto`, the default, brings nsswitch.conf and the modules it names for programs that use the C
   * library's name service.
   */
  readonly nss?: 'auto' | 'none';
  /** Character sets, by any of their names, that iconv(3) is to know; or all. */
  readonly gconv?: 'all' | readonly string[];
  /** Locales as in LC_ALL: `de_DE.UTF-8`. */
  readonly locales?: readonly string[];
  /** The certificates of authorities that TLS libraries trust, and OpenSSL's configuration. */
  readonly caCertificates?: boolean;
  /** Time zones as in TZ: `Europe/Berlin`; `host` is what /etc/localtime is; or all. */
  readonly timeZones?: 'all' | readonly string[];
  /**
   * `generate`, the default, makes an /etc/ld.so.cache of the jail's own libraries; `copy` brings the
   * host's. With `none` the loader in the jail has its other rules only.
   */
  readonly ldCache?: LdCacheChoice;
  /** Absolute directories that the programs will have in LD_LIBRARY_PATH. */
  readonly libraryPath?: readonly string[];
  /**
   * The directory that is taken as `/`, or an image or packages, which are unpacked: `oci:DIR[:TAG]`,
   * `oci-archive:FILE`, `docker-archive:FILE`, `docker://NAME`, `deb:DIR`. The default is the host's own root.
   */
  readonly sysroot?: string;
  /** What the directory was unpacked from, as records have it. */
  readonly sysrootImage?: SysrootImage;
  /** Directories for bare program names; the default is PATH of the environment. */
  readonly path?: readonly string[];
  /** Where relative program paths start; the default is the working directory. */
  readonly cwd?: string;
  /** The terminals in use, which the usual ones take in; the default is TERM, unless there is a sysroot. */
  readonly terminals?: readonly string[];
}
