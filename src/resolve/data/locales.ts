import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { FileCollection } from '../file-collection.js';
import type { GlibcFacts } from './glibc-facts.js';

/** AR_MAGIC of glibc's locale/locarchive.h. */
const ARCHIVE_MAGIC = 0xde020109;
/** The maximum number of names in an archive; all existing locales have about 2000. */
const MAX_NAMES = 1 << 20;
const ENTRY_SIZE = 12;

/**
 * Adds the data of locales: directories of their own, or the whole archive in which localedef(1)
 * collects them. C and POSIX are built into the C library; C.UTF-8 is a directory as well (glibc NEWS, 2.35).
 *
 * @param names as in LC_ALL
 * @param facts where the C library looks for them
 * @throws JailbuildError LOCALE_NOT_FOUND
 */
export function addLocales(
  sysroot: Sysroot,
  files: FileCollection,
  names: readonly string[],
  { locale: directory }: Pick<GlibcFacts, 'locale'>,
): void {
  let archived: { readonly trace: Trace; readonly names: ReadonlySet<string> } | undefined;
  for (const name of names) {
    if (name === 'C' || name === 'POSIX') continue;
    const normal = normalizeLocale(name);
    archived ??= readArchive(sysroot, `${directory}/locale-archive`);
    if (archived?.names.has(normal)) {
      files.add(archived.trace, { kind: 'locale', name });
      continue;
    }
    const tree = name.includes('/') ? undefined : findDirectory(sysroot, directory, [name, normal]);
    if (tree !== undefined) files.addTree(tree, () => ({ kind: 'locale', name }));
    else {
      throw new JailbuildError(
        'LOCALE_NOT_FOUND',
        `${name}: no such locale in ${directory}: make it with localedef or the package locales`,
        name,
      );
    }
  }
}

/**
 * Returns the name under which localedef stores a locale: the character set has only letters and
 * digits, in lower case, with the prefix `iso` if it consists of digits only (glibc
 * intl/l10nflist.c, _nl_normalize_codeset).
 */
export function normalizeLocale(name: string): string {
  return name.replace(/\.([^@]*)/, (_, codeset: string) => {
    const plain = codeset.replace(/[^A-Za-z0-9]/g, '').toLowerCase();
    return `.${/^\d+$/.test(plain) ? 'iso' : ''}${plain}`;
  });
}

function findDirectory(sysroot: Sysroot, directory: string, names: readonly string[]) {
  for (const name of names) {
    const found = sysroot.trace(`${directory}/${name}`);
    if (isTrace(found) && found.stat.type === 'directory') return found;
  }
  return undefined;
}

/** Reads the names in an archive: a hash table, followed by strings (struct locarhead). */
function readArchive(sysroot: Sysroot, path: string) {
  const trace = sysroot.trace(path);
  if (!isTrace(trace) || trace.stat.type !== 'file') return undefined;
  const reader = sysroot.open(trace);
  try {
    const head = reader.read(0, 32);
    if (head.length < 32) return undefined;
    const little = head.readUInt32LE(0) === ARCHIVE_MAGIC;
    if (!little && head.readUInt32BE(0) !== ARCHIVE_MAGIC) return undefined;
    const u32 = (bytes: Buffer, at: number) =>
      little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    const size = u32(head, 16);
    if (size > MAX_NAMES) return undefined;
    const table = reader.read(u32(head, 8), size * ENTRY_SIZE);
    const stringsAt = u32(head, 20);
    const strings = reader.read(stringsAt, u32(head, 28));
    const names = new Set<string>();
    for (let at = 0; at + ENTRY_SIZE <= table.length; at += ENTRY_SIZE) {
      const start = u32(table, at + 4) - stringsAt;
      const isUsed = u32(table, at + 8) !== 0;
      if (!isUsed || start < 0 || start >= strings.length) continue;
      names.add(strings.toString('utf8', start, strings.indexOf(0, start)));
    }
    return { trace, names };
  } finally {
    reader.close();
  }
}
