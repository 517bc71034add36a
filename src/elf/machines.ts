/** Numbers of e_machine (elf.h). */
export const EM = {
  SPARC: 2,
  386: 3,
  M68K: 4,
  MIPS: 8,
  PARISC: 15,
  PPC: 20,
  PPC64: 21,
  S390: 22,
  ARM: 40,
  SH: 42,
  SPARCV9: 43,
  IA_64: 50,
  X86_64: 62,
  AARCH64: 183,
  RISCV: 243,
  LOONGARCH: 258,
  ALPHA: 0x9026,
} as const;

/** Bits of e_flags that distinguish ABIs of one machine (elf.h). */
export const EF = {
  /** Selects one of two ABIs of 64-bit PowerPC; 0 fits both. */
  PPC64_ABI: 0x3,
  /** The 32-bit ABI of 64-bit MIPS (n32). */
  MIPS_ABI2: 0x20,
  /** The encoding of not-a-number on MIPS. */
  MIPS_NAN2008: 0x400,
  ARM_ABI_FLOAT_SOFT: 0x200,
  ARM_ABI_FLOAT_HARD: 0x400,
  /** How floating-point arguments are passed. */
  RISCV_FLOAT_ABI: 0x6,
  RISCV_FLOAT_ABI_DOUBLE: 0x4,
  LARCH_ABI_MODIFIER: 0x7,
  LARCH_ABI_DOUBLE_FLOAT: 0x3,
} as const;
