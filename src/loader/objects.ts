import { isElf } from '../elf/headers.js';
import { type Identification, readIdentification } from '../elf/identification.js';
import { EF, EM } from '../elf/machines.js';
import { FIRST_READ, parseElf } from '../elf/parse.js';
import { ReadAhead } from '../elf/read-ahead.js';
import type { ByteSource, ElfFile, ElfHeaders } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import type { OpenFile } from '../fs/file-reader.js';
import type { Sysroot, Trace } from '../fs/sysroot.js';

/** A file that a loader examined. */
export interface LookedAt {
  /** Undefined for files without a complete ELF header. */
  readonly identification: Identification | undefined;
  /** The parsed file, or the error that prevents it: NOT_ELF, MALFORMED_ELF. */
  readonly elf: ElfFile | JailbuildError;
}

/** Facts about a file that need not be read again. */
export interface KnownObject {
  readonly elf: ElfFile | undefined;
  readonly isElf: boolean | undefined;
}

/** @param file the open file; `source` reads it in windows */
type AlsoRead = (source: ByteSource, elf: ElfFile, found: Trace, file: OpenFile) => void;

const MAGIC_SIZE = 4;

/** Files by identity, each opened and parsed only once. */
export class ObjectTable {
  readonly sysroot: Sysroot;
  readonly #byIdentity = new Map<string, LookedAt>();
  /** Whether files begin with the magic number, known even for files that were not parsed. */
  readonly #isElf = new Map<string, boolean>();
  readonly #readAhead = new ReadAhead();
  readonly #magic = Buffer.alloc(MAGIC_SIZE);
  readonly #known: (found: Trace) => KnownObject | undefined;
  readonly #alsoRead: AlsoRead;

  /**
   * @param known returns facts that need not be read
   * @param alsoRead called with each file while it is open
   */
  constructor(
    sysroot: Sysroot,
    known: (found: Trace) => KnownObject | undefined = () => undefined,
    alsoRead: AlsoRead = () => {},
  ) {
    this.sysroot = sysroot;
    this.#known = known;
    this.#alsoRead = alsoRead;
  }

  /** Returns a parsed file by its identity. */
  parsed(identity: string): ElfFile | undefined {
    const elf = this.#byIdentity.get(identity)?.elf;
    return elf instanceof JailbuildError ? undefined : elf;
  }

  /** Returns whether a file was found to begin with the ELF magic number, by its identity. */
  knownElf(identity: string): boolean | undefined {
    const looked = this.#byIdentity.get(identity);
    return looked === undefined ? this.#isElf.get(identity) : looked.identification !== undefined;
  }

  /** Returns whether a file begins with the ELF magic number; false if it cannot be read. */
  isElf(found: Trace): boolean {
    const { identity, size } = found.stat;
    let known = this.#isElf.get(identity);
    if (known === undefined) {
      const looked = this.#byIdentity.get(identity);
      if (size < MAGIC_SIZE) known = false;
      else if (looked !== undefined) known = looked.identification !== undefined;
      else known = this.#recall(found)?.isElf ?? this.#readMagic(found);
      this.#isElf.set(identity, known);
    }
    return known;
  }

  #readMagic(found: Trace): boolean {
    try {
      return isElf(this.sysroot.readStart(found, this.#magic));
    } catch (error) {
      if (error instanceof JailbuildError && error.code === 'NOT_READABLE') return false;
      throw error;
    }
  }

  /** @throws JailbuildError NOT_READABLE, NOT_ELF, MALFORMED_ELF */
  parse(found: Trace): ElfFile {
    const { elf } = this.look(found);
    if (elf instanceof JailbuildError) throw elf;
    return elf;
  }

  /** @throws JailbuildError NOT_READABLE */
  look(found: Trace): LookedAt {
    const { identity } = found.stat;
    let looked = this.#byIdentity.get(identity);
    if (looked !== undefined) return looked;
    this.#recall(found);
    looked = this.#byIdentity.get(identity);
    if (looked !== undefined) return looked;
    looked = this.#read(found);
    this.#byIdentity.set(identity, looked);
    return looked;
  }

  #recall(found: Trace): KnownObject | undefined {
    const known = this.#known(found);
    if (known?.elf !== undefined) {
      const { identification } = known.elf;
      this.#byIdentity.set(found.stat.identity, { identification, elf: known.elf });
    }
    return known;
  }

  #read(found: Trace): LookedAt {
    const reader = this.sysroot.open(found);
    try {
      const source = this.#readAhead.of(reader);
      const start = source.read(0, FIRST_READ);
      try {
        const elf = parseElf(source, start);
        this.#alsoRead(source, elf, found, reader);
        return { identification: elf.identification, elf };
      } catch (error) {
        if (!(error instanceof JailbuildError) || error.code === 'NOT_READABLE') throw error;
        const identification = isElf(start) ? readIdentification(start) : undefined;
        return { identification, elf: error };
      }
    } finally {
      reader.close();
    }
  }
}

/** Returns whether both have the same class, byte order and machine. */
export function sameMachine(one: ElfHeaders, other: ElfHeaders): boolean {
  return (
    one.class === other.class && one.byteOrder === other.byteOrder && one.machine === other.machine
  );
}

/**
 * Returns whether a loader of one ABI would accept an object of the other: same class, byte order
 * and machine, and no conflicting flags that distinguish ABIs of one machine (glibc elf/dl-load.c,
 * open_verify, and elf_machine_matches_host of each machine).
 */
export function sameAbi(one: ElfHeaders, other: ElfHeaders): boolean {
  return sameMachine(one, other) && !flagsConflict(one.machine, one.flags, other.flags);
}

function flagsConflict(machine: number, one: number, other: number): boolean {
  const differs = (mask: number) => ((one ^ other) & mask) !== 0;
  switch (machine) {
    case EM.ARM: {
      const both = EF.ARM_ABI_FLOAT_SOFT | EF.ARM_ABI_FLOAT_HARD;
      return ((one | other) & both) === both;
    }
    case EM.PPC64:
      return (one & EF.PPC64_ABI) !== 0 && (other & EF.PPC64_ABI) !== 0 && differs(EF.PPC64_ABI);
    case EM.MIPS:
      return differs(EF.MIPS_ABI2 | EF.MIPS_NAN2008);
    case EM.RISCV:
      return differs(EF.RISCV_FLOAT_ABI);
    case EM.LOONGARCH:
      return differs(EF.LARCH_ABI_MODIFIER);
    default:
      return false;
  }
}
