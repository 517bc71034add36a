import { parseElf } from '../elf/parse.js';
import type { ElfFile, ElfHeaders } from '../elf/types.js';
import type { Sysroot, Trace } from '../sysroot/sysroot.js';

/** Parsed ELF files by identity, so that each file is opened and parsed once however often it is met. */
export class ObjectTable {
  readonly sysroot: Sysroot;
  readonly #byIdentity = new Map<string, ElfFile>();

  constructor(sysroot: Sysroot) {
    this.sysroot = sysroot;
  }

  /** @throws JailbuildError NOT_READABLE, NOT_ELF, MALFORMED_ELF */
  parse(found: Trace): ElfFile {
    const known = this.#byIdentity.get(found.stat.identity);
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

const EM_ARM = 40;
const EF_ARM_ABI_FLOAT_SOFT = 0x200;
const EF_ARM_ABI_FLOAT_HARD = 0x400;

/**
 * True if a loader of the one ABI would accept an object of the other: same class, byte order and
 * machine, and on ARM no contradiction of hard and soft float (glibc elf/dl-load.c, open_verify).
 */
export function sameAbi(one: ElfHeaders, other: ElfHeaders): boolean {
  return (
    one.class === other.class &&
    one.byteOrder === other.byteOrder &&
    one.machine === other.machine &&
    !(one.machine === EM_ARM && floatConflict(one.flags, other.flags))
  );
}

function floatConflict(one: number, other: number): boolean {
  const both = (one | other) & (EF_ARM_ABI_FLOAT_SOFT | EF_ARM_ABI_FLOAT_HARD);
  return both === (EF_ARM_ABI_FLOAT_SOFT | EF_ARM_ABI_FLOAT_HARD);
}
