import type { AccountRequest } from './account-request.js';
import type { IncludeRequest } from './include-request.js';

/**
 * The terminal descriptions to add: all, none, the usual ones, or those named. The word `default`
 * among names stands for the usual ones.
 */
export type TerminfoChoice = 'default' | 'all' | 'none' | readonly string[];

/** The lowest priority of libraries that are added because programs declare to open them. */
export type DlopenChoice = 'required' | 'recommended' | 'suggested' | 'none';

/** Where the jail's /etc/ld.so.cache comes from. */
export type LdCacheChoice = 'generate' | 'copy' | 'none';

/** What is added with a file that a run used: nothing, its directory, or its package. */
export type TraceScope = 'files' | 'directories' | 'packages';

/** The image or packages that a sysroot was unpacked from. */
export interface SysrootImage {
  /** As passed to `--sysroot`, with absolute paths. */
  readonly reference: string;
  /** For an image, the platform selected: `OS/ARCHITECTURE[/VARIANT]`. */
  readonly platform?: string;
  /**
   * For an image, the digest of its configuration, and thus of all its content; for packages, one
   * digest of them all.
   */
  readonly id: string;
}

/** The requested contents of a jail. */
export interface ResolveRequest {
  /** Names to look up on `path`, or paths. */
  readonly programs: readonly string[];
  /** Names of profiles, or absolute paths of custom ones. */
  readonly profiles?: readonly string[];
  /** Users for passwd(5) and group(5) of the jail, in addition to those of profiles. */
  readonly users?: readonly AccountRequest[];
  /** Files in addition to what programs and profiles need. */
  readonly include?: readonly IncludeRequest[];
  /** Directories of the sysroot to add without their content. */
  readonly directories?: readonly string[];
  /** Patterns of paths in the jail to leave out. */
  readonly exclude?: readonly string[];
  /** Absolute paths of traces; the files that the runs used are included. */
  readonly traces?: readonly string[];
  /** What else to add for each file that a run used; the default is `files`. */
  readonly traceScope?: TraceScope;
  /** Continue if files of a trace no longer exist. */
  readonly allowStaleTraces?: boolean;
  /** Packages whose run-time files to add. */
  readonly packages?: readonly string[];
  /** Also add the packages that own the programs, with their related packages. */
  readonly withPackage?: boolean;
  /** How many levels of package dependencies to follow; the default is 0. */
  readonly packageDepends?: 'all' | number;
  /** Also follow dependencies on essential packages, which every system has. */
  readonly packageEssential?: boolean;
  /** Also add documentation, translations, headers and static libraries of packages. */
  readonly packageDocs?: boolean;
  /**
   * `auto`, the default, adds the commands that shell scripts run and the files that they source,
   * as far as their text determines them.
   */
  readonly scriptCommands?: 'auto' | 'none';
  readonly terminfo?: TerminfoChoice;
  /**
   * Libraries that an ELF file's note declares to open (.note.dlopen): those of this priority or
   * higher. The default is `required`.
   */
  readonly dlopen?: DlopenChoice;
  /**
   * `auto`, the default, adds nsswitch.conf and its modules for programs that use the C library's
   * name service.
   */
  readonly nss?: 'auto' | 'none';
  /** Character sets for iconv(3), by any of their names; or all. */
  readonly gconv?: 'all' | readonly string[];
  /** Locales as in LC_ALL: `de_DE.UTF-8`. */
  readonly locales?: readonly string[];
  /** Add the certificates of authorities that TLS libraries trust, and OpenSSL's configuration. */
  readonly caCertificates?: boolean;
  /** Time zones as in TZ: `Europe/Berlin`; `host` for that of /etc/localtime; or all. */
  readonly timeZones?: 'all' | readonly string[];
  /**
   * `generate`, the default, makes an /etc/ld.so.cache of the jail's own libraries; `copy` adds the
   * host's. With `none` the loader in the jail uses only its other rules.
   */
  readonly ldCache?: LdCacheChoice;
  /** Absolute directories of LD_LIBRARY_PATH at run time. */
  readonly libraryPath?: readonly string[];
  /**
   * The directory to use as `/`, or an image or packages to unpack: `oci:DIR[:TAG]`,
   * `oci-archive:FILE`, `docker-archive:FILE`, `docker://NAME`, `deb:DIR`. The default is the
   * host's own root.
   */
  readonly sysroot?: string;
  /** The origin of an unpacked sysroot, as recorded. */
  readonly sysrootImage?: SysrootImage;
  /** Directories in which to look up program names; the default is PATH of the environment. */
  readonly path?: readonly string[];
  /** The base of relative program paths; the default is the working directory. */
  readonly cwd?: string;
  /**
   * The terminals in use, which are among the usual ones; the default is TERM, unless there is a
   * sysroot.
   */
  readonly terminals?: readonly string[];
}
