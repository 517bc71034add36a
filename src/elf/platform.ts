import { isElf } from './headers.js';
import { EF, EM } from './machines.js';

/** Bytes up to e_flags of a 64-bit header (gABI chapter 4, "ELF Header"). */
export const ELF_HEADER = 52;

/** Returns the platform of an ELF header, such as `linux/amd64`; undefined if Go has no name for it. */
export function elfPlatform(start: Buffer): string | undefined {
  if (!isElf(start) || start.length < ELF_HEADER) return undefined;
  const wide = start[4] === 2;
  const little = start[5] === 1;
  const machine = little ? start.readUInt16LE(18) : start.readUInt16BE(18);
  const flagsAt = wide ? 48 : 36;
  const flags = little ? start.readUInt32LE(flagsAt) : start.readUInt32BE(flagsAt);
  const architecture = goArchitecture(machine, wide, little, flags);
  return architecture === undefined ? undefined : `linux/${architecture}`;
}

function goArchitecture(
  machine: number,
  wide: boolean,
  little: boolean,
  flags: number,
): string | undefined {
  switch (machine) {
    case EM[386]:
      return '386';
    case EM.MIPS:
      return `mips${wide ? '64' : ''}${little ? 'le' : ''}`;
    case EM.PPC64:
      return little ? 'ppc64le' : 'ppc64';
    case EM.S390:
      return wide ? 's390x' : undefined;
    case EM.ARM:
      // Distributions for ARMv7 pass floating point arguments in its registers.
      return flags & EF.ARM_ABI_FLOAT_HARD ? 'arm/v7' : 'arm/v5';
    case EM.X86_64:
      return 'amd64';
    case EM.AARCH64:
      return 'arm64/v8';
    case EM.RISCV:
      return wide ? 'riscv64' : undefined;
    case EM.LOONGARCH:
      return 'loong64';
    default:
      return undefined;
  }
}
