import type { ElfHeaders } from '../elf/types.js';
import type { Sysroot, Trace } from '../sysroot/sysroot.js';

/** How a particular dynamic loader behaves: which family of rules, and what it was built with. */
export interface LoaderFlavor {
  readonly kind: 'glibc' | 'musl';
  /** Searched last, in this order, without slashes at their ends. */
  readonly defaultDirectories: readonly string[];
  /** The value of $LIB. */
  readonly lib: string;
  /** The value of $PLATFORM. */
  readonly platform: string;
  /** musl's name for the machine, as in /etc/ld-musl-x86_64.path. */
  readonly muslArch: string | undefined;
}

const EM = {
  386: 3,
  PPC64: 21,
  S390: 22,
  ARM: 40,
  X86_64: 62,
  AARCH64: 183,
  RISCV: 243,
  LOONGARCH: 258,
} as const;

/** AT_PLATFORM by machine; on x86 glibc puts its own value for some CPUs in its place. */
const PLATFORM: Readonly<Record<number, string>> = {
  [EM[386]]: 'i686',
  [EM.ARM]: 'v7l',
  [EM.X86_64]: 'x86_64',
  [EM.AARCH64]: 'aarch64',
};

const MUSL_NAME = /^ld-musl-([A-Za-z0-9_-]+)\.so\.1$/;

/** Loaders are a few hundred kilobytes; no more than this is looked at. */
const MAX_LOADER_SIZE = 8 << 20;

/**
 * Learns a loader's flavor from its file, without running it. glibc's default directories are in
 * the loader's read-only data as one run of strings, each with a slash at its end and a zero byte
 * behind (elf/dl-load.c, `system_dirs`), and $LIB is the first of them.
 *
 * @param interpreter the loader's file, or undefined if it was not found
 * @param requested the PT_INTERP path, or undefined for a library looked at alone
 */
export function loaderFlavor(
  sysroot: Sysroot,
  requested: string | undefined,
  interpreter: Trace | undefined,
  headers: ElfHeaders,
): LoaderFlavor {
  const platform = PLATFORM[headers.machine] ?? '';
  const musl = MUSL_NAME.exec(requested?.slice(requested.lastIndexOf('/') + 1) ?? '');
  if (musl !== null) {
    return {
      kind: 'musl',
      defaultDirectories: ['/lib', '/usr/local/lib', '/usr/lib'],
      lib: 'lib',
      platform,
      muslArch: musl[1],
    };
  }
  const built = interpreter === undefined ? undefined : systemDirectories(sysroot, interpreter);
  const directories = built ?? fallbackDirectories(headers);
  return {
    kind: 'glibc',
    defaultDirectories: directories,
    lib: (directories[0] ?? '/lib').slice(1),
    platform,
    muslArch: undefined,
  };
}

function systemDirectories(sysroot: Sysroot, interpreter: Trace): string[] | undefined {
  const reader = sysroot.open(interpreter);
  try {
    if (reader.size > MAX_LOADER_SIZE) return undefined;
    const text = reader.read(0, reader.size).toString('latin1');
    let best: string[] | undefined;
    for (const [run] of text.matchAll(/(?:\/[A-Za-z0-9_./+-]+\/\0){2,}/g)) {
      const directories = run.split('\0').filter((item) => item !== '');
      if (!directories.some((item) => /^\/(usr\/)?lib(32|64|x32)?\//.test(item))) continue;
      if (best === undefined || directories.length > best.length) best = directories;
    }
    return best?.map((item) => item.slice(0, -1));
  } finally {
    reader.close();
  }
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

/** For a library alone, with no loader to ask: Debian's multiarch directories, then the others. */
function fallbackDirectories(headers: ElfHeaders): string[] {
  const triplet = TRIPLET[`${headers.machine}/${headers.class}/${headers.byteOrder}`];
  const multiarch = triplet === undefined ? [] : [`/lib/${triplet}`, `/usr/lib/${triplet}`];
  const wide = headers.class === 64 ? ['/lib64', '/usr/lib64'] : [];
  return [...multiarch, ...wide, '/lib', '/usr/lib'];
}
