import type { Identification } from '../elf/identification.js';
import { EM } from '../elf/machines.js';
import type { ElfFile, ElfHeaders } from '../elf/types.js';
import { JailbuildError } from '../errors.js';
import { type LookedAt, sameAbi } from './objects.js';

const OSABI = { SYSV: 0, GNU: 3, ARM_AEABI: 64, ARM: 97 } as const;
/** The highest ABI version that glibc accepts (libc-abis), and the exceptions. */
const GNU_ABI = 3;
const GNU_ABI_OF: Readonly<Record<number, number>> = { [EM.AARCH64]: 2, [EM.S390]: 2 };

/**
 * Decides as glibc does whether to accept a file found in a search, skip it for its class or
 * machine, or stop the program (elf/dl-load.c, open_verify).
 *
 * @param abi the headers of the program
 * @returns undefined for a file that is skipped
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF
 */
export function acceptForGlibc(
  path: string,
  { identification, elf }: LookedAt,
  abi: ElfHeaders,
): ElfFile | undefined {
  if (identification === undefined) {
    if (elf instanceof JailbuildError) throw elf;
    return elf;
  }
  if (identification.class !== (abi.class === 64 ? 2 : 1)) return undefined;
  const problem = identificationProblem(identification, abi);
  if (problem !== undefined) {
    // A differing machine excuses differences in e_ident, but is checked after e_version.
    if (problem[0] !== 'e_version' && !isForMachine(identification, abi)) return undefined;
    throw unloadable(path, ...problem);
  }
  if (!isForMachine(identification, abi)) return undefined;
  if (elf instanceof JailbuildError) throw elf;
  return sameAbi(abi, elf.headers) ? programOrLibrary(path, elf) : undefined;
}

/**
 * Accepts the first file of the name, as musl does (ldso/dynlink.c, map_library), but refuses a
 * file for another machine, on which the loader would crash.
 *
 * @throws JailbuildError NOT_ELF, MALFORMED_ELF
 */
export function acceptForMusl(path: string, { elf }: LookedAt, abi: ElfHeaders): ElfFile {
  if (elf instanceof JailbuildError) throw elf;
  if (!sameAbi(abi, elf.headers)) {
    throw unloadable(path, 'e_machine', 'declares another machine');
  }
  return programOrLibrary(path, elf);
}

function programOrLibrary(path: string, elf: ElfFile): ElfFile {
  if (elf.headers.type === 'dyn' || elf.headers.type === 'exec') return elf;
  throw unloadable(path, 'e_type', 'does not declare a shared library');
}

/**
 * Refuses files that a loader accepts but cannot map (glibc elf/dl-load.c, _dl_map_object_from_fd; musl
 * map_library).
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function checkMappable(
  path: string,
  { headers, dynamic }: ElfFile,
  kind: 'glibc' | 'musl',
): void {
  if (kind === 'glibc' && (headers.type === 'exec' || dynamic?.isProgram)) {
    throw unloadable(path, 'e_type', 'declares a program');
  }
  if (!headers.segments.some(({ type }) => type === 'load')) {
    throw unloadable(path, 'PT_LOAD', 'is missing');
  }
  if (dynamic === undefined) throw unloadable(path, 'PT_DYNAMIC', 'is missing');
}

/** Also covers loaders of the other byte order. */
function isForMachine(identification: Identification, { byteOrder, machine }: ElfHeaders): boolean {
  const { machineLittle, machineBig } = identification;
  return machine === (byteOrder === 'little' ? machineLittle : machineBig);
}

function identificationProblem(
  { data, version, osAbi, abiVersion, isPadded, fileVersion }: Identification,
  { byteOrder, machine }: ElfHeaders,
): readonly [field: string, problem: string] | undefined {
  if (data !== (byteOrder === 'little' ? 1 : 2)) {
    return ['EI_DATA', 'declares another byte order'];
  }
  if (version !== 1) return ['EI_VERSION', `is ${version}`];
  if (!takesOsAbi(machine, osAbi)) return ['EI_OSABI', `is ${osAbi}`];
  if (!takesAbiVersion(machine, osAbi, abiVersion)) return ['EI_ABIVERSION', `is ${abiVersion}`];
  if (!isPadded) return ['e_ident', 'has nonzero bytes after EI_ABIVERSION'];
  if (fileVersion !== 1) return ['e_version', `is ${fileVersion}`];
  return undefined;
}

function takesOsAbi(machine: number, osAbi: number): boolean {
  if (osAbi === OSABI.SYSV || osAbi === OSABI.GNU) return true;
  return machine === EM.ARM && (osAbi === OSABI.ARM_AEABI || osAbi === OSABI.ARM);
}

/** On MIPS the version has another meaning and is not checked. */
function takesAbiVersion(machine: number, osAbi: number, version: number): boolean {
  const highest = GNU_ABI_OF[machine] ?? GNU_ABI;
  return version === 0 || machine === EM.MIPS || (osAbi === OSABI.GNU && version <= highest);
}

function unloadable(path: string, field: string, problem: string): JailbuildError {
  const message = `${path}: ${field} ${problem}, so the loader would fail at this file`;
  return new JailbuildError('MALFORMED_ELF', message, path);
}
