/** Names of ELF constants, as in readelf(1) and elf.h. */

import { EM } from '../../elf/machines.js';

const MACHINES: Readonly<Record<number, string>> = {
  [EM.SPARC]: 'sparc',
  [EM[386]]: 'i386',
  [EM.M68K]: 'm68k',
  [EM.MIPS]: 'mips',
  [EM.PARISC]: 'parisc',
  [EM.PPC]: 'powerpc',
  [EM.PPC64]: 'powerpc64',
  [EM.S390]: 's390',
  [EM.ARM]: 'arm',
  [EM.SH]: 'sh',
  [EM.SPARCV9]: 'sparcv9',
  [EM.IA_64]: 'ia64',
  [EM.X86_64]: 'x86-64',
  [EM.AARCH64]: 'aarch64',
  [EM.RISCV]: 'riscv',
  [EM.LOONGARCH]: 'loongarch',
  [EM.ALPHA]: 'alpha',
};

const FILE_TYPES = ['none', 'relocatable', 'executable', 'shared object', 'core'];

const OS_ABIS: Readonly<Record<number, string>> = {
  0: 'System V',
  3: 'GNU/Linux',
  9: 'FreeBSD',
  97: 'ARM',
};

const SEGMENTS: Readonly<Record<number, string>> = {
  0: 'NULL',
  1: 'LOAD',
  2: 'DYNAMIC',
  3: 'INTERP',
  4: 'NOTE',
  5: 'SHLIB',
  6: 'PHDR',
  7: 'TLS',
  1685382480: 'GNU_EH_FRAME',
  1685382481: 'GNU_STACK',
  1685382482: 'GNU_RELRO',
  1685382483: 'GNU_PROPERTY',
};

const SECTIONS: Readonly<Record<number, string>> = {
  0: 'NULL',
  1: 'PROGBITS',
  2: 'SYMTAB',
  3: 'STRTAB',
  4: 'RELA',
  5: 'HASH',
  6: 'DYNAMIC',
  7: 'NOTE',
  8: 'NOBITS',
  9: 'REL',
  11: 'DYNSYM',
  14: 'INIT_ARRAY',
  15: 'FINI_ARRAY',
  16: 'PREINIT_ARRAY',
  17: 'GROUP',
  1879048182: 'GNU_HASH',
  1879048189: 'VERDEF',
  1879048190: 'VERNEED',
  1879048191: 'VERSYM',
};

const hex = (number: number): string => `0x${number.toString(16)}`;

export const machineName = (machine: number): string => MACHINES[machine] ?? `machine ${machine}`;
export const fileTypeName = (type: number): string => FILE_TYPES[type] ?? `type ${hex(type)}`;
export const osAbiName = (abi: number): string => OS_ABIS[abi] ?? `OS ABI ${abi}`;
export const segmentName = (type: number): string => SEGMENTS[type] ?? hex(type);
export const sectionTypeName = (type: number): string => SECTIONS[type] ?? hex(type);
