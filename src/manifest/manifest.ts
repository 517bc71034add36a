/**
 * The plan: what a jail will hold, as plain JSON data. docs/manifest.md describes every field.
 * The resolver's findings become a manifest; the writer, the verifier and the reports follow it.
 */

import type { AccountRequest } from './account-request.js';
import type { Advice } from './advice.js';
import type { IncludeRequest } from './include-request.js';

/** Names the format and its version; a reader refuses one it does not know. */
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

/** Why an entry is in the jail. Paths are those of other entries, so that reasons form chains. */
export type Reason =
  /** The user named it, as written. */
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
  /** What env(1), the interpreter of the script `of`, runs by `name`. */
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
  /** The module that the C library opens when `by` asks these databases, of which it is a service. */
  | {
      readonly kind: 'nss-module';
      readonly by: string;
      readonly service: string;
      /** As in nsswitch.conf(5), with blanks between them. */
      readonly databases: string;
      readonly rule: SearchRule;
    }
  /** The module that converts the character set `name`, or the list of all modules. */
  | { readonly kind: 'gconv'; readonly name?: string }
  /** Data of the locale of this name. */
  | { readonly kind: 'locale'; readonly name: string }
  /** Certificates of authorities, and where TLS libraries look for them. */
  | { readonly kind: 'ca-certificates' }
  /** OpenSSL's configuration, and the modules that it activates. */
  | { readonly kind: 'openssl' }
  /** The time zone of this name; `host` for that of the host. */
  | { readonly kind: 'time-zone'; readonly name: string }
  /** The variant for a CPU feature level (`level`, as x86-64-v3) of the library `of`. */
  | { readonly kind: 'hwcaps'; readonly of: string; readonly level: string }
  /** What the symbolic link `of` points to. */
  | { readonly kind: 'link-target'; readonly of: string }
  /** A directory, or a symbolic link to one, on the way to other entries. */
  | { readonly kind: 'parent' }
  /** A link of the host's merged-/usr layout, by which programs and users name files. */
  | { readonly kind: 'merged-usr' }
  /** The loader's library cache. */
  | { readonly kind: 'ld-cache' }
  /** The search path of musl's loader `of`. */
  | { readonly kind: 'ld-musl-path'; readonly of: string }
  /** The profile has it; `as` is the program's name in there. */
  | { readonly kind: 'profile'; readonly name: string; readonly as?: string }
  /** It belongs to the user of this name; `as` is the login shell. */
  | { readonly kind: 'account'; readonly name: string; readonly as?: string }
  /** The user included it, by this path or pattern. */
  | { readonly kind: 'included'; readonly as: string }
  /** A run used it in this way, in a program of this path; `in` is the trace's file name. */
  | {
      readonly kind: 'observed';
      readonly use: string;
      readonly by?: string;
      readonly in: string;
    }
  /** The user asked for the directory without what is in it, by this path. */
  | { readonly kind: 'directory'; readonly name: string }
  /** The package has it, or made it when it was installed. */
  | { readonly kind: 'package'; readonly name: string }
  /** `by` names this path, which the package has. */
  | { readonly kind: 'named'; readonly by: string; readonly package: string }
  /** `by` starts it by this name; a script in this line, from 1. */
  | { readonly kind: 'command'; readonly by: string; readonly name: string; readonly line?: number }
  /** The shell script `by` sources it in this line, from 1. */
  | { readonly kind: 'sourced'; readonly by: string; readonly line: number }
  /** The terminal description of this name. */
  | { readonly kind: 'terminfo'; readonly name: string };

/** What all entries have. */
export interface EntryBase {
  /** Absolute path inside the jail, without `.`, `..`, or symbolic links on the way. */
  readonly path: string;
  /** Permission bits with set-uid, set-gid and sticky, in octal: `0755`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Modification time: seconds since the epoch, a point, nine digits of nanoseconds. */
  readonly mtime: string;
  /** The path, inside the sysroot, that it is copied from. Absent for what jailbuild makes itself. */
  readonly source?: string;
  /** Extended attributes, capabilities and ACLs among them: base64 of the value, by full name. */
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
  /** Bytes. */
  readonly size: number;
  /** `sha256:` and 64 hex digits. Absent only in a plan made without digests, never in a printed one. */
  readonly digest?: string;
  /** Base64 of the content, for a file that jailbuild makes and that has no source. */
  readonly content?: string;
  /** The path of an entry above this one that is the same file, by another name. */
  readonly hardlink?: string;
}

/** A symbolic link. */
export interface SymlinkEntry extends EntryBase {
  readonly type: 'symlink';
  /** The link's text as the host has it. */
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

/** One file of a root file system. */
export type Entry = DirectoryEntry | FileEntry | SymlinkEntry | DeviceEntry | FifoEntry;

/** What was asked for, without the target, so that the same request gives the same bytes anywhere. */
export interface ManifestRequest {
  readonly programs: readonly string[];
  /** Names, or all, or none; the default is written out as the names it found. */
  readonly terminfo: 'all' | 'none' | readonly string[];
  readonly ldCache: 'generate' | 'copy' | 'none';
  /** Directories of LD_LIBRARY_PATH; absent where none were given. */
  readonly libraryPath?: readonly string[];
  /** These stand here only where they are not the default. */
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

/** A symbol version that keeps the loader from starting a program. */
export interface MissingVersion {
  /** As `GLIBC_2.34`. */
  readonly name: string;
  /**
   * Why it is not met: the library does not define it; has no versions at all; the object uses DT_RELR
   * without declaring it; no library of the process has the name; or a table is malformed.
   */
  readonly problem: 'undefined' | 'unversioned' | 'undeclared' | 'not-loaded' | 'malformed';
  /** The library that the loader binds; absent if there is none. */
  readonly file?: string;
}

/** A library that no rule of the loader finds, or that lacks a symbol version. */
export interface MissingLibrary {
  readonly name: string;
  readonly neededBy: string;
  /** Present if the library is found and lacks this version. */
  readonly version?: MissingVersion;
  /** Each place the loader would look, in its order; empty if only a version is missing. */
  readonly searched: readonly {
    readonly rule: SearchRule;
    readonly path: string;
  }[];
  /** It is needed by a module that came along with others and that no program is known to open. */
  readonly optional?: true;
  /** Where the source's library cache would lead, for a jail that has no cache. */
  readonly cachedAt?: string;
  /** Where only processors with more features find it. */
  readonly variantAt?: string;
  /** Where it is in a directory of ld.so.conf(5), for a source whose library cache lacks it. */
  readonly configuredAt?: string;
}

/** The plan of a root file system. docs/manifest.md describes its JSON form. */
export interface Manifest {
  readonly schema: typeof MANIFEST_SCHEMA;
  readonly request: ManifestRequest;
  /** Variables that profiles set for what runs in the jail, and PATH where programs lie outside of the usual one. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Sorted by the bytes of `path`; a directory precedes its content. */
  readonly entries: readonly Entry[];
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
  /** What programs may look for when they run, and how to add it; a line a kind. */
  readonly hints?: readonly string[];
  /** What programs may miss, the likeliest first; for readers, as hints. */
  readonly advice?: readonly Advice[];
}
