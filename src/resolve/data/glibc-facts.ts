import { loadedPieces } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { Sysroot } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';

/** The paths where a glibc was built to look for data. */
export interface GlibcFacts {
  /** The directory of character set modules. */
  readonly gconv: string | undefined;
  readonly locale: string;
  readonly zoneinfo: string;
}

/** Usual directories of distributions, for C libraries whose own are unknown. */
export const USUAL_FACTS: GlibcFacts = {
  gconv: undefined,
  locale: '/usr/lib/locale',
  zoneinfo: '/usr/share/zoneinfo',
};

/** The maximum size of a C library in bytes; glibc itself has two megabytes. */
const MAX_LIBC_SIZE = 64 << 20;

/** Cached by the parsed file, which would otherwise be read for each kind of data. */
const KNOWN = new WeakMap<ElfFile, GlibcFacts>();

/** Determines where a glibc looks for data, from the constant strings of its file. */
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
    };
  } finally {
    reader.close();
  }
}

function directoryOf(pieces: readonly Buffer[], end: string): string | undefined {
  return stringWithEnd(pieces, end)?.slice(0, -end.length);
}

/** Returns the absolute path with this end among the strings of a file. */
function stringWithEnd(pieces: readonly Buffer[], end: string): string | undefined {
  const bytes = pieces.find((piece) => piece.includes(`${end}\0`, 0, 'latin1'));
  if (bytes === undefined) return undefined;
  const at = bytes.indexOf(`${end}\0`, 0, 'latin1');
  const start = bytes.lastIndexOf(0, at) + 1;
  const text = bytes.toString('utf8', start, at + end.length);
  return text.startsWith('/') && text.length > end.length ? text : undefined;
}
