/**
 * The fields of the ELF header that declare which systems a file is for, uninterpreted. A loader checks
 * them before anything else (gABI chapter 4, "ELF Header" and "ELF Identification").
 */
export interface Identification {
  /** EI_CLASS: 1 is 32 bits, 2 is 64. */
  readonly class: number;
  /** EI_DATA: 1 is little-endian, 2 is big-endian. */
  readonly data: number;
  /** EI_VERSION, 1 for all files so far. */
  readonly version: number;
  /** EI_OSABI: 0 is System V, 3 is GNU. */
  readonly osAbi: number;
  /** EI_ABIVERSION. */
  readonly abiVersion: number;
  /** True if all remaining bytes of e_ident are zero. */
  readonly isPadded: boolean;
  /** e_machine in little-endian order, regardless of EI_DATA. */
  readonly machineLittle: number;
  /** e_machine in big-endian order. */
  readonly machineBig: number;
  /** e_version, 1 for all files so far. */
  readonly fileVersion: number;
}

const IDENT_SIZE = 16;
const MACHINE_AT = 18;
const VERSION_AT = 20;

/**
 * @param start the first bytes of a file that begins with the ELF magic number
 * @returns undefined if they are too few for an ELF header of the file's class
 */
export function readIdentification(start: Buffer): Identification | undefined {
  const [elfClass = 0, data = 0, version = 0, osAbi = 0, abiVersion = 0, ...padding] =
    start.subarray(4, IDENT_SIZE);
  if (start.length < (elfClass === 1 ? 52 : 64)) return undefined;
  return {
    class: elfClass,
    data,
    version,
    osAbi,
    abiVersion,
    isPadded: padding.every((byte) => byte === 0),
    machineLittle: start.readUInt16LE(MACHINE_AT),
    machineBig: start.readUInt16BE(MACHINE_AT),
    fileVersion: data === 2 ? start.readUInt32BE(VERSION_AT) : start.readUInt32LE(VERSION_AT),
  };
}
