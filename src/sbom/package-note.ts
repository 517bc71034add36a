import { readHeaders } from '../elf/headers.js';
import type { ByteSource } from '../elf/types.js';
import { JailbuildError } from '../errors.js';

/** The package that an ELF file declares (UAPI, "Package Metadata for Executable Files"). */
export interface PackageNote {
  /** Such as `rpm` or `deb`. */
  readonly type?: string;
  readonly name?: string;
  readonly version?: string;
  readonly architecture?: string;
  readonly os?: string;
  readonly osVersion?: string;
}

const NOTE_TYPE = 0xcafe1a7e;
const OWNER = 'FDO\0';
/** The maximum size of notes in bytes; real ones have a few hundred. */
const MAX_NOTES = 1 << 16;

/** Reads the package note of an ELF file; undefined if there is none, or the file is not ELF. */
export function readPackageNote(source: ByteSource): PackageNote | undefined {
  try {
    const { segments, byteOrder } = readHeaders(source, source.read(0, 4096));
    for (const { type, offset, filesz } of segments) {
      if (type !== 'note') continue;
      const found = findNote(
        source.read(offset, Math.min(filesz, MAX_NOTES)),
        byteOrder === 'little',
      );
      if (found !== undefined) return found;
    }
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
  }
  return undefined;
}

function findNote(notes: Buffer, little: boolean): PackageNote | undefined {
  const word = (at: number) => (little ? notes.readUInt32LE(at) : notes.readUInt32BE(at));
  let at = 0;
  while (at + 12 <= notes.length) {
    const [nameSize, size, type] = [word(at), word(at + 4), word(at + 8)];
    const content = at + 12 + aligned(nameSize);
    if (content + size > notes.length) return undefined;
    const owner = notes.toString('latin1', at + 12, at + 12 + nameSize);
    if (type === NOTE_TYPE && owner === OWNER) {
      return parse(notes.toString('utf8', content, content + size).replace(/\0+$/, ''));
    }
    at = content + aligned(size);
  }
  return undefined;
}

function aligned(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function parse(text: string): PackageNote | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const fields = ['type', 'name', 'version', 'architecture', 'os', 'osVersion'];
    return Object.fromEntries(
      Object.entries(value).filter(
        ([name, member]) => fields.includes(name) && typeof member === 'string',
      ),
    );
  } catch {
    return undefined;
  }
}
