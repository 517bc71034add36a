import { EF, EM } from '../elf/machines.js';
import type { ElfHeaders } from '../elf/types.js';

/** A library of glibc 2 and later, FLAG_ELF_LIBC6 (glibc sysdeps/generic/ldconfig.h). */
const LIBC6 = 0x0003;

/**
 * Returns the flags of ld.so.cache entries for libraries of an ABI: FLAG_ELF_LIBC6, and in the
 * second byte the ABI of one machine (glibc sysdeps/generic/ldconfig.h, and readelflib.c and
 * dl-cache.h of each machine).
 */
export function cacheFlags({ class: elfClass, machine, flags }: ElfHeaders): number {
  return LIBC6 | requiredAbi(elfClass === 64, machine, flags);
}

/** FLAG_ELF: libraries that ldconfig before glibc 2.37 does not assign to a C library. */
const ANY_LIBC = 0x0001;

/** Returns whether a loader of an ABI accepts cache entries with these flags (dl-cache.h of each machine). */
export function acceptsCacheFlags(abi: ElfHeaders, flags: number): boolean {
  if (flags === cacheFlags(abi) || flags === ANY_LIBC) return true;
  const isSoftFloatArm = abi.machine === EM.ARM && (abi.flags & EF.ARM_ABI_FLOAT_HARD) === 0;
  return isSoftFloatArm && (flags === LIBC6 || flags === (LIBC6 | 0x0b00));
}

function requiredAbi(is64: boolean, machine: number, flags: number): number {
  switch (machine) {
    case EM.SPARCV9:
      return 0x0100;
    case EM.IA_64:
      return 0x0200;
    case EM.X86_64:
      return is64 ? 0x0300 : 0x0800;
    case EM.S390:
      return is64 ? 0x0400 : 0;
    case EM.PPC64:
      return 0x0500;
    case EM.MIPS: {
      const nan2008 = (flags & EF.MIPS_NAN2008) !== 0;
      if (is64) return nan2008 ? 0x0e00 : 0x0700;
      if ((flags & EF.MIPS_ABI2) !== 0) return nan2008 ? 0x0d00 : 0x0600;
      return nan2008 ? 0x0c00 : 0;
    }
    case EM.ARM:
      if ((flags & EF.ARM_ABI_FLOAT_HARD) !== 0) return 0x0900;
      return (flags & EF.ARM_ABI_FLOAT_SOFT) !== 0 ? 0x0b00 : 0;
    case EM.AARCH64:
      return 0x0a00;
    case EM.RISCV:
      return (flags & EF.RISCV_FLOAT_ABI) === EF.RISCV_FLOAT_ABI_DOUBLE ? 0x1000 : 0x0f00;
    case EM.LOONGARCH:
      return (flags & EF.LARCH_ABI_MODIFIER) === EF.LARCH_ABI_DOUBLE_FLOAT ? 0x1200 : 0x1100;
    default:
      return 0;
  }
}
