import { dynamicBytes, dynamicEntries, fileOffset } from './dynamic.js';
import type { ByteSource, ElfHeaders } from './types.js';

const DT_STRTAB = 5;
const DT_STRSZ = 10;
/** glibc's own string table has about 40 kB. */
const MAX_TABLE = 8 << 20;

/**
 * True if a library defines, or wants, symbols of this version, as `GLIBC_2.34`: the name is then
 * among the strings of its dynamic section (gABI, "Symbol Versioning").
 *
 * @throws JailbuildError MALFORMED_ELF
 */
export function namesVersion(source: ByteSource, headers: ElfHeaders, version: string): boolean {
  const bytes = dynamicBytes(source, headers);
  if (bytes === undefined) return false;
  const values = new Map(dynamicEntries(bytes, headers));
  const offset = fileOffset(headers.segments, values.get(DT_STRTAB) ?? -1);
  const size = values.get(DT_STRSZ);
  if (offset === undefined || size === undefined) return false;
  const table = source.read(offset, Math.min(size, MAX_TABLE));
  return table.indexOf(`\0${version}\0`, 0, 'latin1') >= 0;
}
