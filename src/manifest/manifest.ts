/**
 * The plan: the future contents of a jail, as plain JSON data. docs/manifest.md describes every
 * field. The resolver's results become a manifest; the writer, the verifier and the reports follow
 * it.
 */

import type { AccountRequest } from './account-request.js';
import type { Advice } from './advice.js';
import type { IncludeRequest } from './include-request.js';

/** Names the format and its version; readers refuse versions that they do not know. */
export const MANIFEST_SCHEMA = 'jailbuild.manifest/1';

/** The loader's rule by which a library was found (ld.so(8)). */
export type SearchRule =
  | 'path'
  | 'rpath'
  | 'library-path'
  | 'runpath'
  | 'ld.so.cache'
  | 'ld.so.conf'
  | 'ld-musl.path'
  | 'default'
  | 'interpreter'
  | 'loaded'
  | 'excluded';

/** Why an entry is in the jail. Paths are those of other entries, so reasons form chains. */
export type Reason =
  /** Requested by the user under this name or path. */
  | { readonly kind: 'requested'; readonly as: string }
  /** `by` has `name` in DT_NEEDED; `rule` is where the loader finds it. */
  | {
      readonly kind: 'needed';
      readonly by: string;
      readonly name: string;
      readonly rule: SearchRule;
    }
  /** PT_INTERP of the program `of`. */
  | { readonly kind: 'interpreter'; readonly of: string }
  /** The interpreter that the first line of the script `of` names. */
  | { readonly kind: 'shebang'; readonly of: string }
  /** The program `name` that env(1), the interpreter of the script `of`, runs. */
  | { readonly kind: 'env'; readonly of: string; readonly name: string }
  /** A note of `by` declares that it opens `name`; `rule` is how the loader finds it. */
  | {
      readonly kind: 'dlopen';
      readonly by: string;
      readonly name: string;
      readonly rule: SearchRule;
      readonly priority: 'required' | 'recommended' | 'suggested';
      readonly feature?: string;
    }
  /** nsswitch.conf, which the C library reads for `by`. */
  | { readonly kind: 'nsswitch'; readonly by: string }
  /** The module `service` that the C library opens when `by` queries these databases. */
  | {
      readonly kind: 'nss-module';
      readonly by: string;
      readonly service: string;
      /** As in nsswitch.conf(5), separated by spaces. */
      readonly databases: string;
      readonly rule: SearchRule;
    }
  /** The module that converts the character set `name`, or the list of all modules. */
  | { readonly kind: 'gconv'; readonly name?: string }
  /** Data of the locale of this name. */
  | { readonly kind: 'locale'; readonly name: string }
  /** Certificates of authorities, and the paths where TLS libraries look for them. */
  | { readonly kind: 'ca-certificates' }
  /** OpenSSL's configuration, and the modules that it activates. */
  | { readonly kind: 'openssl' }
  /** The time zone of this name; `host` for the host's own. */
  | { readonly kind: 'time-zone'; readonly name: string }
  /** The variant of the library `of` for a CPU feature level (`level`, such as x86-64-v3). */
  | { readonly kind: 'hwcaps'; readonly of: string; readonly level: string }
  /** The target of the symbolic link `of`. */
  | { readonly kind: 'link-target'; readonly of: string }
  /** A directory, or a symbolic link to one, on the way to other entries. */
  | { readonly kind: 'parent' }
  /** A link of the host's merged-/usr layout, through which programs and users name files. */
  | { readonly kind: 'merged-usr' }
  /** The loader's library cache. */
  | { readonly kind: 'ld-cache' }
  /** /etc/hosts with the names of the jail itself. */
  | { readonly kind: 'local-hosts' }
  /** The search path of musl's loader `of`. */
  | { readonly kind: 'ld-musl-path'; readonly of: string }
  /** Listed by the profile; `as` is the program's name there. */
  | { readonly kind: 'profile'; readonly name: string; readonly as?: string }
  /** Belongs to the user of this name; `as` is the login shell. */
  | { readonly kind: 'account'; readonly name: string; readonly as?: string }
  /** Included by the user, by this path or pattern. */
  | { readonly kind: 'included'; readonly as: string }
  /** Used by a run in this way, by the program at this path; `in` is the trace's file name. */
  | {
      readonly kind: 'observed';
      readonly use: string;
      readonly by?: string;
      readonly in: string;
    }
  /** A directory that the user requested by this path, without its content. */
  | { readonly kind: 'directory'; readonly name: string }
  /** Installed by the package, or created during its installation. */
  | { readonly kind: 'package'; readonly name: string }
  /** A path of the package that `by` names. */
  | { readonly kind: 'named'; readonly by: string; readonly package: string }
  /** Started by `by` under this name; `line` is the line of a script, from 1. */
  | { readonly kind: 'command'; readonly by: string; readonly name: string; readonly line?: number }
  /** Sourced by the shell script `by` in this line, from 1. */
  | { readonly kind: 'sourced'; readonly by: string; readonly line: number }
  /** The terminal description of this name. */
  | { readonly kind: 'terminfo'; readonly name: string };

/** Fields of all entries. */
export interface EntryBase {
  /** Absolute path inside the jail, without `.`, `..`, or symbolic links on the way. */
  readonly path: string;
  /** Permission bits with set-uid, set-gid and sticky, in octal: `0755`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Modification time: seconds since the epoch, a point, nine digits of nanoseconds. */
  readonly mtime: string;
  /** The path inside the sysroot that it is copied from. Absent for files that jailbuild makes. */
  readonly source?: string;
  /**
   * Extended attributes, including capabilities and ACLs: the base64 of each value, by full name.
   */
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly reasons: readonly Reason[];
}

/** A directory. */
export interface DirectoryEntry extends EntryBase {
  readonly type: 'directory';
}

/** A regular file. */
export interface FileEntry extends EntryBase {
  readonly type: 'file';
  /** In bytes. */
  readonly size: number;
  /**
   * `sha256:` and 64 hex digits. Absent only in plans made without digests, never in printed ones.
   */
  readonly digest?: string;
  /** The base64 of the content, for a file that jailbuild makes. */
  readonly content?: string;
  /** The path of an earlier entry that is the same file under another name. */
  readonly hardlink?: string;
}

/** A symbolic link. */
export interface SymlinkEntry extends EntryBase {
  readonly type: 'symlink';
  /** The link's target as on the host. */
  readonly target: string;
}

/** A device file. */
export interface DeviceEntry extends EntryBase {
  readonly type: 'character-device' | 'block-device';
  readonly major: number;
  readonly minor: number;
}

/** A named pipe (fifo(7)). */
export interface FifoEntry extends EntryBase {
  readonly type: 'fifo';
}

/** An entry of a root file system. */
export type Entry = DirectoryEntry | FileEntry | SymlinkEntry | DeviceEntry | FifoEntry;

/** The request, without the target, so that equal requests give equal bytes anywhere. */
export interface ManifestRequest {
  readonly programs: readonly string[];
  /** Names, `all` or `none`; the default is replaced by the names that it found. */
  readonly terminfo: 'all' | 'none' | readonly string[];
  readonly ldCache: 'generate' | 'copy' | 'none';
  /** Directories of LD_LIBRARY_PATH; absent if none were given. */
  readonly libraryPath?: readonly string[];
  /** These are present only if they are not the default. */
  readonly profiles?: readonly string[];
  readonly users?: readonly AccountRequest[];
  readonly include?: readonly IncludeRequest[];
  readonly directories?: readonly string[];
  readonly exclude?: readonly string[];
  readonly traces?: readonly string[];
  readonly traceScope?: 'directories' | 'packages';
  readonly allowStaleTraces?: true;
  readonly packages?: readonly string[];
  readonly withPackage?: true;
  readonly packageDepends?: 'all' | number;
  readonly packageEssential?: true;
  readonly packageDocs?: true;
  readonly scriptCommands?: 'none';
  readonly dlopen?: 'recommended' | 'suggested' | 'none';
  readonly nss?: 'none';
  readonly gconv?: 'all' | readonly string[];
  readonly locales?: readonly string[];
  readonly caCertificates?: true;
  readonly timeZones?: 'all' | readonly string[];
}

/** A symbol version that prevents the loader from starting a program. */
export interface MissingVersion {
  /** For example `GLIBC_2.34`. */
  readonly name: string;
  /**
   * Why it is not satisfied: the library does not define it; has no versions at all; the object
   * uses DT_RELR without declaring it; no library of the process has the name; or a table is
   * malformed.
   */
  readonly problem: 'undefined' | 'unversioned' | 'undeclared' | 'not-loaded' | 'malformed';
  /** The library that the loader binds; absent if there is none. */
  readonly file?: string;
}

/** A library that no rule of the loader finds, or that lacks a symbol version. */
export interface MissingLibrary {
  readonly name: string;
  readonly neededBy: string;
  /** Present if the library is found but lacks this version. */
  readonly version?: MissingVersion;
  /** The places that the loader searches, in order; empty if only a version is missing. */
  readonly searched: readonly {
    readonly rule: SearchRule;
    readonly path: string;
  }[];
  /** Only needed by a module that no program is known to open. */
  readonly optional?: true;
  /** Where the source's library cache leads, for a jail without a cache. */
  readonly cachedAt?: string;
  /** Where the library is found only on processors with more features. */
  readonly variantAt?: string;
  /** The library's path in a directory of ld.so.conf(5), if the source's library cache lacks it. */
  readonly configuredAt?: string;
}

/** The plan of a root file system. docs/manifest.md describes its JSON form. */
export interface Manifest {
  readonly schema: typeof MANIFEST_SCHEMA;
  readonly request: ManifestRequest;
  /**
   * Variables that profiles set for programs in the jail, and PATH if programs are outside the
   * standard one.
   */
  readonly environment?: Readonly<Record<string, string>>;
  /** Sorted by the bytes of `path`; a directory precedes its content. */
  readonly entries: readonly Entry[];
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
  /** Files that programs may open at run time, and how to add them; one line for each kind. */
  readonly hints?: readonly string[];
  /** Advice on what programs may lack, the likeliest first; for readers, like hints. */
  readonly advice?: readonly Advice[];
}
