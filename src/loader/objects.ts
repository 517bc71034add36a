import { parseElf } from '../elf/parse.js';
import type { ElfFile, ElfHeaders } from '../elf/types.js';
import type { Sysroot, Trace } from '../sysroot/sysroot.js';

/** Parsed ELF files by identity, so that each file is opened and parsed once however often it is met. */
export class ObjectTable {
  readonly sysroot: Sysroot;
  readonly #byIdentity = new Map<string, ElfFile>();
  readonly #known: (found: Trace) => ElfFile | undefined;

  /** @param known gives what need not be read */
  constructor(sysroot: Sysroot, known: (found: Trace) => ElfFile | undefined = () => undefined) {
    this.sysroot = sysroot;
    this.#known = known;
  }

  /** A file that was parsed, by its identity. */
  parsed(identity: string): ElfFile | undefined {
    return this.#byIdentity.get(identity);
  }

  /** @throws JailbuildError NOT_READABLE, NOT_ELF, MALFORMED_ELF */
  parse(found: Trace): ElfFile {
    const known = this.#byIdentity.get(found.stat.identity) ?? this.#known(found);
    if (known !== undefined) return known;
    const reader = this.sysroot.open(found);
    try {
      const elf = parseElf(reader);
      this.#byIdentity.set(found.stat.identity, elf);
      return elf;
    } finally {
      reader.close();
    }
  }
}

const EM = { MIPS: 8, PPC64: 21, ARM: 40, RISCV: 243, LOONGARCH: 258 } as const;

const EF_ARM_ABI_FLOAT_SOFT = 0x200;
const EF_ARM_ABI_FLOAT_HARD = 0x400;
/** Which of two ABIs of 64-bit PowerPC; 0 fits both. */
const EF_PPC64_ABI = 3;
/** The 32-bit ABI of 64-bit MIPS, and how it writes not-a-number. */
const EF_MIPS_ABI2 = 0x20;
const EF_MIPS_NAN2008 = 0x400;
/** How floating point arguments are passed. */
const EF_RISCV_FLOAT_ABI = 6;
const EF_LARCH_ABI_MODIFIER = 7;

/**
 * True if a loader of the one ABI would accept an object of the other: same class, byte order and
 * machine, and no contradiction in the flags that tell ABIs of one machine apart (glibc
 * elf/dl-load.c, open_verify, and elf_machine_matches_host of each machine).
 */
export function sameAbi(one: ElfHeaders, other: ElfHeaders): boolean {
  return (
    one.class === other.class &&
    one.byteOrder === other.byteOrder &&
    one.machine === other.machine &&
    !flagsConflict(one.machine, one.flags, other.flags)
  );
}

function flagsConflict(machine: number, one: number, other: number): boolean {
  const differs = (mask: number) => ((one ^ other) & mask) !== 0;
  switch (machine) {
    case EM.ARM: {
      const both = EF_ARM_ABI_FLOAT_SOFT | EF_ARM_ABI_FLOAT_HARD;
      return ((one | other) & both) === both;
    }
    case EM.PPC64:
      return (one & EF_PPC64_ABI) !== 0 && (other & EF_PPC64_ABI) !== 0 && differs(EF_PPC64_ABI);
    case EM.MIPS:
      return differs(EF_MIPS_ABI2 | EF_MIPS_NAN2008);
    case EM.RISCV:
      return differs(EF_RISCV_FLOAT_ABI);
    case EM.LOONGARCH:
      return differs(EF_LARCH_ABI_MODIFIER);
    default:
      return false;
  }
}
