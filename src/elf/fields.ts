import type { ElfHeaders } from './types.js';

/** Reads numbers of an ELF file at offsets of a buffer. */
export interface FieldReader {
  readonly u16: (bytes: Buffer, at: number) => number;
  readonly u32: (bytes: Buffer, at: number) => number;
  /**
   * Reads an address, offset or size of the file's class. Numbers above 2^53 exceed any file and may be
   * inexact.
   */
  readonly word: (bytes: Buffer, at: number) => number;
  /** Reads the same exactly: a bigint from 2^53 on. */
  readonly exact: (bytes: Buffer, at: number) => number | bigint;
}

export function fieldReader({
  class: elfClass,
  byteOrder,
}: Pick<ElfHeaders, 'class' | 'byteOrder'>): FieldReader {
  const little = byteOrder === 'little';
  const u16 = (bytes: Buffer, at: number) =>
    little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  const u32 = (bytes: Buffer, at: number) =>
    little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  const word = (bytes: Buffer, at: number) => {
    if (elfClass === 32) return u32(bytes, at);
    return u32(bytes, little ? at : at + 4) + u32(bytes, little ? at + 4 : at) * 2 ** 32;
  };
  const exact = (bytes: Buffer, at: number) => {
    const value = word(bytes, at);
    if (Number.isSafeInteger(value)) return value;
    return little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
  };
  return { u16, u32, word, exact };
}
