import type { VersionNeed } from '../../src/elf/types.js';
import { type DynamicEntry, type ElfParts, makeElf, Writer } from './make-elf.js';

const DT = {
  HASH: 4,
  SYMTAB: 6,
  VERSYM: 0x6ffffff0,
  VERDEF: 0x6ffffffc,
  VERNEED: 0x6ffffffe,
} as const;
/** Names given by entries with a meaningless tag, which puts them into the string table. */
const NAMED = 0x70000001;

export interface VersionParts extends Omit<ElfParts, 'tables' | 'padding'> {
  readonly needs?: readonly VersionNeed[];
  /** The first is the object's own name, as linkers write it; undefined for no table. */
  readonly defines?: readonly string[] | undefined;
}

/** Returns an ELF file with tables of symbol versions, and an empty symbol table. */
export function versionedElf(parts: VersionParts): Buffer {
  const { needs = [], defines, dynamic = [], class: elfClass = 64, byteOrder = 'little' } = parts;
  const names = [
    ...new Set([...(defines ?? []), ...needs.flatMap(({ file, version }) => [file, version])]),
  ];
  const entries: DynamicEntry[] = [...dynamic, ...names.map((name) => [NAMED, name] as const)];
  const offsets = new Map<string, number>();
  let at = 1;
  for (const [, value] of entries) {
    if (typeof value !== 'string') continue;
    offsets.set(value, at);
    at += Buffer.byteLength(value) + 1;
  }
  const writer = () => new Writer(elfClass, byteOrder);
  const offset = (name: string) => offsets.get(name) ?? 0;
  const files = [...new Set(needs.map(({ file }) => file))];
  const need = writer();
  for (const [index, file] of files.entries()) {
    const own = needs.filter((one) => one.file === file);
    const isLast = index === files.length - 1;
    need.half(1).half(own.length).word(offset(file)).word(16);
    need.word(isLast ? 0 : 16 + 16 * own.length);
    for (const [place, { version, isWeak }] of own.entries()) {
      need
        .word(elfHash(version))
        .half(isWeak ? 2 : 0)
        .half(2 + place);
      need.word(offset(version)).word(place === own.length - 1 ? 0 : 16);
    }
  }
  const definitions = writer();
  for (const [index, name] of (defines ?? []).entries()) {
    const isLast = index === (defines ?? []).length - 1;
    definitions
      .half(1)
      .half(index === 0 ? 1 : 0)
      .half(index + 1)
      .half(1)
      .word(elfHash(name));
    definitions
      .word(20)
      .word(isLast ? 0 : 28)
      .word(offset(name))
      .word(0);
  }
  const isVersioned = needs.length > 0 || (defines ?? []).length > 0;
  return makeElf({
    ...parts,
    dynamic: entries,
    tables: [
      { tag: DT.SYMTAB, bytes: Buffer.alloc(elfClass === 64 ? 24 : 16) },
      { tag: DT.HASH, bytes: writer().word(1).word(1).word(0).word(0).bytes() },
      ...(isVersioned ? [{ tag: DT.VERSYM, bytes: Buffer.alloc(2) }] : []),
      ...(needs.length > 0 ? [{ tag: DT.VERNEED, bytes: need.bytes() }] : []),
      ...((defines ?? []).length > 0 ? [{ tag: DT.VERDEF, bytes: definitions.bytes() }] : []),
    ],
  }).bytes;
}

/** Returns the hash of a name in symbol and version tables (gABI chapter 5, "Hash Table"). */
export function elfHash(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name)) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf000_0000;
    hash = (hash ^ (high >>> 24)) & ~high;
  }
  return hash >>> 0;
}
