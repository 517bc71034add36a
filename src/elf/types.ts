import type { Identification } from './identification.js';

/** A file to parse, read in bounded pieces at offsets, such as a `FileReader`. */
export interface ByteSource {
  /** Names the file in messages. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Returns up to `length` bytes from `offset`, fewer at the end of the file. */
  read(offset: number, length: number): Buffer;
}

export type ElfClass = 32 | 64;
export type ByteOrder = 'little' | 'big';

/** A program header (gABI chapter 5), with the fields that matter for loading. Sizes in bytes. */
export interface Segment {
  /** `load`, `dynamic`, `interp`, `note`, or undefined for other types. */
  readonly type: string | undefined;
  readonly offset: number;
  readonly vaddr: number;
  readonly filesz: number;
  readonly memsz: number;
  /** PF_X. */
  readonly isExecutable: boolean;
}

export interface ElfHeaders {
  readonly class: ElfClass;
  readonly byteOrder: ByteOrder;
  /** e_machine, such as EM_X86_64 = 62. */
  readonly machine: number;
  /** e_flags, which distinguish ABIs on some machines. */
  readonly flags: number;
  /** `exec`, `dyn`, `rel`, `core`, or undefined for other types. */
  readonly type: string | undefined;
  readonly segments: readonly Segment[];
}

/** An entry of DT_NEEDED, DT_FILTER or DT_AUXILIARY. */
export interface Dependency {
  readonly kind: 'needed' | 'filter' | 'auxiliary';
  readonly name: string;
}

/** A version of another object's symbols that an object was linked with, such as `GLIBC_2.34`. */
export interface VersionNeed {
  /** The other object's name in DT_NEEDED. */
  readonly file: string;
  readonly version: string;
  /** VER_FLG_WEAK: the loader continues without it. */
  readonly isWeak: boolean;
}

/** The symbol versions of an object (gABI, "Symbol Versioning"; LSB Core, "Symbol Versioning"). */
export interface SymbolVersions {
  /** DT_VERNEED. */
  readonly needs: readonly VersionNeed[];
  /** DT_VERDEF: the versions it defines; undefined without the table. */
  readonly defines: ReadonlySet<string> | undefined;
  /** True if its symbols have versions at all (DT_VERSYM). */
  readonly hasTable: boolean;
  /** True if it has DT_RELR, which glibc accepts only with a need for GLIBC_ABI_DT_RELR. */
  readonly hasRelr: boolean;
  /** One sentence if these tables are malformed. */
  readonly problem: string | undefined;
}

/** The dynamic section's facts about dependencies (gABI chapter 5, "Dynamic Section"). */
export interface DynamicSection {
  readonly soname: string | undefined;
  readonly needed: readonly string[];
  /** Libraries that the loader loads for this object, in the order of the section. */
  readonly dependencies: readonly Dependency[];
  readonly rpath: string | undefined;
  readonly runpath: string | undefined;
  /** DT_FILTER and DT_AUXILIARY: objects loaded before this one. */
  readonly filters: readonly string[];
  readonly auxiliaries: readonly string[];
  /** DT_AUDIT and DT_DEPAUDIT: colon-separated lists, split (rtld-audit(7)). */
  readonly audits: readonly string[];
  /** DF_1_NODEFLIB: the default directories are not searched. */
  readonly noDefaultDirectories: boolean;
  /** DF_1_PIE: a program, although its type is ET_DYN. */
  readonly isProgram: boolean;
  readonly versions: SymbolVersions;
}

export interface ElfFile {
  readonly identification: Identification;
  readonly headers: ElfHeaders;
  /** PT_INTERP. */
  readonly interpreter: string | undefined;
  /** Undefined for static files. */
  readonly dynamic: DynamicSection | undefined;
}
