import { loadedPieces } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';

/** Where a glibc was built to look for data. */
export interface GlibcFacts {
  /** The directory of character set modules. */
  readonly gconv: string | undefined;
  readonly locale: string;
  readonly zoneinfo: string;
  /** True if the locale C.UTF-8 is inside. */
  readonly hasUtf8Locale: boolean;
}

/** Usual directories of distributions, for C libraries that do not reveal theirs. */
export const USUAL_FACTS: GlibcFacts = {
  gconv: undefined,
  locale: '/usr/lib/locale',
  zoneinfo: '/usr/share/zoneinfo',
  hasUtf8Locale: false,
};

/** The release from which on glibc has C.UTF-8 inside. */
const WITH_UTF8 = 'GLIBC_2.35';
/** glibc itself has two megabytes. */
const MAX_LIBC_SIZE = 64 << 20;

/** By what was read of the file, which is read again for each kind of data otherwise. */
const KNOWN = new WeakMap<ElfFile, GlibcFacts>();

/** Learns from the file of a glibc, among its constant strings, where it looks for data. */
export function glibcFacts(sysroot: Sysroot, library: LoadedObject): GlibcFacts {
  const facts = KNOWN.get(library.elf) ?? readFacts(sysroot, library);
  KNOWN.set(library.elf, facts);
  return facts;
}

function readFacts(sysroot: Sysroot, { trace, elf }: LoadedObject): GlibcFacts {
  const reader = sysroot.open(trace);
  try {
    const pieces = [...loadedPieces(reader, elf.headers, MAX_LIBC_SIZE, false)];
    return {
      gconv: directoryOf(pieces, '/gconv-modules.cache'),
      locale: directoryOf(pieces, '/locale-archive') ?? USUAL_FACTS.locale,
      zoneinfo: stringWithEnd(pieces, '/zoneinfo') ?? USUAL_FACTS.zoneinfo,
      hasUtf8Locale: elf.dynamic?.versions.defines?.has(WITH_UTF8) === true,
    };
  } finally {
    reader.close();
  }
}

function directoryOf(pieces: readonly Buffer[], end: string): string | undefined {
  return stringWithEnd(pieces, end)?.slice(0, -end.length);
}

/** The absolute path among the strings of a file that ends so. */
function stringWithEnd(pieces: readonly Buffer[], end: string): string | undefined {
  const bytes = pieces.find((piece) => piece.includes(`${end}\0`, 0, 'latin1'));
  if (bytes === undefined) return undefined;
  const at = bytes.indexOf(`${end}\0`, 0, 'latin1');
  const start = bytes.lastIndexOf(0, at) + 1;
  const text = bytes.toString('utf8', start, at + end.length);
  return text.startsWith('/') && text.length > end.length ? text : undefined;
}
