import { fieldReader } from './fields.js';
import { malformed } from './malformed.js';
import type { ByteSource, ElfHeaders, SymbolVersions, VersionNeed } from './types.js';

/** File offsets of the tables; undefined for a table that is absent. */
export interface VersionTables {
  readonly needs: number | undefined;
  readonly defines: number | undefined;
}

export const NO_VERSIONS: SymbolVersions = {
  needs: [],
  defines: undefined,
  hasTable: false,
  hasRelr: false,
  problem: undefined,
};

const VER_FLG_WEAK = 2;

/** Sizes of the records, which are the same in both classes. */
const SIZE = { need: 16, needed: 16, definition: 20, name: 8 } as const;

/** glibc's own libraries have dozens of each; large programs need hundreds. */
const MAX_RECORDS = 1 << 16;
/** The maximum size of all names together, in bytes. */
const MAX_NAMES = 1 << 20;
/** Records are read in windows of this many bytes. */
const WINDOW = 2048;

/**
 * Reads the symbol versions that an object needs and defines. Like the loader, it follows the links
 * between the records and ignores the counts in the dynamic section.
 *
 * @param string reads a string of the dynamic section's string table
 * @throws JailbuildError MALFORMED_ELF
 */
export function readVersions(
  source: ByteSource,
  headers: ElfHeaders,
  tables: VersionTables,
  string: (offset: number) => string,
): Pick<SymbolVersions, 'needs' | 'defines'> {
  const { u16, u32 } = fieldReader(headers);
  const { needs: needsAt, defines: definesAt } = tables;
  const starts = [needsAt, definesAt].filter((at) => at !== undefined);
  if (starts.length === 0) return { needs: [], defines: undefined };
  // Linkers put the tables next to each other.
  const record = recordReader(source, Math.min(...starts));
  let left = MAX_RECORDS;
  const count = (field: string) => {
    if (--left < 0) throw malformed(source, field, `has more than ${MAX_RECORDS} records`);
  };

  let room = MAX_NAMES;
  const text = (offset: number): string => {
    const value = string(offset);
    room -= value.length;
    if (room < 0) throw malformed(source, 'DT_STRTAB', 'has overlong names of versions');
    return value;
  };

  const needs: VersionNeed[] = [];
  for (let at = needsAt; at !== undefined; ) {
    count('DT_VERNEED');
    const need = record(at, SIZE.need, 'DT_VERNEED');
    if (u16(need, 0) !== 1) {
      throw malformed(source, 'DT_VERNEED', `has a record of version ${u16(need, 0)}`);
    }
    const file = text(u32(need, 4));
    for (let next: number | undefined = at + u32(need, 8); next !== undefined; ) {
      count('DT_VERNEED');
      const needed = record(next, SIZE.needed, 'DT_VERNEED');
      const isWeak = (u16(needed, 4) & VER_FLG_WEAK) !== 0;
      needs.push({ file, version: text(u32(needed, 8)), isWeak });
      next = following(next, u32(needed, 12));
    }
    at = following(at, u32(need, 12));
  }

  if (definesAt === undefined) return { needs, defines: undefined };
  const defines = new Set<string>();
  for (let at: number | undefined = definesAt; at !== undefined; ) {
    count('DT_VERDEF');
    const definition = record(at, SIZE.definition, 'DT_VERDEF');
    if (u16(definition, 0) !== 1) {
      throw malformed(source, 'DT_VERDEF', `has a record of version ${u16(definition, 0)}`);
    }
    const name = record(at + u32(definition, 12), SIZE.name, 'DT_VERDEF');
    defines.add(text(u32(name, 0)));
    at = following(at, u32(definition, 16));
  }
  return { needs, defines };
}

/** Returns the offset of the next record; a link of zero ends the list. */
function following(at: number, link: number): number | undefined {
  return link === 0 ? undefined : at + link;
}

/** Reads records through a window, since they are adjacent. */
function recordReader(source: ByteSource, first: number) {
  let start = first;
  let bytes = source.read(first, WINDOW);
  return (at: number, size: number, field: string): Buffer => {
    if (at < start || at + size > start + bytes.length) {
      start = at;
      bytes = source.read(at, WINDOW);
      if (bytes.length < size) throw malformed(source, field, 'reaches beyond the end of the file');
    }
    return bytes.subarray(at - start, at - start + size);
  };
}
