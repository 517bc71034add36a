import { EM } from '../elf/machines.js';
import type { ElfHeaders } from '../elf/types.js';
import type { Sysroot, Trace } from '../fs/sysroot.js';
import { baseName } from '../text/base-name.js';

/** How a particular dynamic loader behaves: its family of rules and its build-time settings. */
export interface LoaderFlavor {
  readonly kind: 'glibc' | 'musl';
  /** The default directories, in order, without trailing slashes. */
  readonly defaultDirectories: readonly string[];
  /** The value of $LIB. */
  readonly lib: string;
  /** True if it searches glibc-hwcaps directories (glibc 2.33). */
  readonly hasHwcaps: boolean;
  /** True if it searches subdirectories such as tls (until glibc 2.36). */
  readonly hasLegacyHwcaps: boolean;
  /** True if it stops when a versioned symbol is found in a library without symbol versions. */
  readonly stopsAtUnversioned: boolean;
  /** musl's search path file, such as /etc/ld-musl-x86_64.path. */
  readonly muslPathFile: string | undefined;
}

const MUSL_PATH_FILE = /%\.\*s\/etc\/ld-musl-([A-Za-z0-9_-]+)\.path\0/y;
const MUSL_NAME = /^ld-musl-([A-Za-z0-9_-]+)\.so\.1$/;

/** The maximum size of a loader in bytes; real ones have a few hundred kilobytes. */
const MAX_LOADER_SIZE = 8 << 20;

/** The version string in the loader of glibc: `stable release version 2.36`. */
const GLIBC_VERSION = /release version 2\.(\d+)/y;
/** The first glibc whose loader searches no subdirectories except those of glibc-hwcaps. */
const WITHOUT_LEGACY = 37;

/** The assertion of check_match (elf/dl-lookup.c), which glibc 2.41 removed from the loader. */
const VERSION_ASSERTION = '_dl_name_match_p (version->filename, map)';

/**
 * Determines a loader's flavor from its file, without running it. glibc's default directories are
 * one run of strings in the loader's read-only data, each ending with a slash and a zero byte
 * (elf/dl-load.c, `system_dirs`); $LIB is the first of them. musl's loader contains the pattern of
 * its path file's name.
 *
 * @param requested the PT_INTERP path, or undefined for a library without a program
 * @param interpreter the loader's file, or undefined if it was not found
 */
export function loaderFlavor(
  sysroot: Sysroot,
  requested: string | undefined,
  interpreter: Trace | undefined,
  headers: ElfHeaders,
): LoaderFlavor {
  const text = interpreter === undefined ? '' : textOf(sysroot, interpreter);
  const name = baseName(requested ?? '');
  const musl = matchAt(text, '%.*s/etc/ld-musl-', MUSL_PATH_FILE) ?? MUSL_NAME.exec(name);
  if (musl !== null) {
    return {
      kind: 'musl',
      defaultDirectories: ['/lib', '/usr/local/lib', '/usr/lib'],
      lib: 'lib',
      hasHwcaps: false,
      hasLegacyHwcaps: false,
      stopsAtUnversioned: false,
      // musl looks for the path file relative to the directory of its own name.
      muslPathFile: `${prefixOf(requested ?? '/lib/')}/etc/ld-musl-${musl[1]}.path`,
    };
  }
  const directories = systemDirectories(text) ?? fallbackDirectories(headers);
  const version = matchAt(text, 'release version 2.', GLIBC_VERSION)?.[1];
  const legacy = version === undefined || Number(version) < WITHOUT_LEGACY;
  return {
    kind: 'glibc',
    defaultDirectories: directories,
    lib: (directories[0] ?? '/lib').slice(1),
    hasHwcaps: text === '' || text.includes('glibc-hwcaps'),
    hasLegacyHwcaps: text !== '' && legacy,
    stopsAtUnversioned: text === '' || text.includes(VERSION_ASSERTION),
    muslPathFile: undefined,
  };
}

/** Returns the match of a sticky pattern at the start of a text. */
function matchAt(text: string, start: string, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = text.indexOf(start);
  return pattern.lastIndex < 0 ? null : pattern.exec(text);
}

/** Returns the directory above the one that contains a path: '' for /lib/ld.so. */
function prefixOf(path: string): string {
  const directory = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
}

function textOf(sysroot: Sysroot, loader: Trace): string {
  const reader = sysroot.open(loader);
  try {
    return reader.size > MAX_LOADER_SIZE ? '' : reader.read(0, reader.size).toString('latin1');
  } finally {
    reader.close();
  }
}

/**
 * Returns the longest run of such strings that includes a library directory. Searching for the
 * boundary of two strings is much faster than trying a pattern everywhere.
 */
function systemDirectories(text: string): string[] | undefined {
  let best: string[] | undefined;
  const run = /(?:\/[A-Za-z0-9_./+-]+\/\0){2,}/y;
  for (let at = text.indexOf('/\0/'); at >= 0; at = text.indexOf('/\0/', at + 1)) {
    run.lastIndex = startOfPath(text, at);
    const [found] = run.exec(text) ?? [];
    if (found === undefined) continue;
    at = run.lastIndex - 1;
    const directories = found.split('\0').filter((item) => item !== '');
    if (!directories.some((item) => /^\/(usr\/)?lib(32|64|x32)?\//.test(item))) continue;
    if (best === undefined || directories.length > best.length) best = directories;
  }
  return best?.map((item) => item.slice(0, -1));
}

/** Returns the start of the path around a position; the bytes before it may not be text. */
function startOfPath(text: string, at: number): number {
  let start = at;
  while (start > 0 && /[A-Za-z0-9_./+-]/.test(text.charAt(start - 1))) start--;
  return text.indexOf('/', start);
}

const TRIPLET: Readonly<Record<string, string>> = {
  [`${EM[386]}/32/little`]: 'i386-linux-gnu',
  [`${EM.X86_64}/64/little`]: 'x86_64-linux-gnu',
  [`${EM.X86_64}/32/little`]: 'x86_64-linux-gnux32',
  [`${EM.AARCH64}/64/little`]: 'aarch64-linux-gnu',
  [`${EM.ARM}/32/little`]: 'arm-linux-gnueabihf',
  [`${EM.PPC64}/64/little`]: 'powerpc64le-linux-gnu',
  [`${EM.S390}/64/big`]: 's390x-linux-gnu',
  [`${EM.RISCV}/64/little`]: 'riscv64-linux-gnu',
  [`${EM.LOONGARCH}/64/little`]: 'loongarch64-linux-gnu',
};

/**
 * Returns default directories for a library without a program: Debian's multiarch directories, then
 * the usual ones.
 */
function fallbackDirectories(headers: ElfHeaders): string[] {
  const triplet = TRIPLET[`${headers.machine}/${headers.class}/${headers.byteOrder}`];
  const multiarch = triplet === undefined ? [] : [`/lib/${triplet}`, `/usr/lib/${triplet}`];
  const wide = headers.class === 64 ? ['/lib64', '/usr/lib64'] : [];
  return [...multiarch, ...wide, '/lib', '/usr/lib'];
}
