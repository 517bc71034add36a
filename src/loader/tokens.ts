/** The values of the dynamic string tokens for one requesting object (ld.so(8), "Dynamic string tokens"). */
export interface TokenValues {
  /** The directory of the object that contains the string. */
  readonly origin: string;
  /** A build-time setting of the loader: `lib/x86_64-linux-gnu`, `lib64`, `lib`. */
  readonly lib: string;
  /** AT_PLATFORM of the kernel: `x86_64`, `aarch64`; undefined if it sets none. */
  readonly platform: string | undefined;
}

const TOKEN = /\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))/g;
const PLATFORM_TOKEN = /\$(?:\{PLATFORM\}|PLATFORM(?![A-Za-z0-9_]))/;
const ORIGIN_TOKEN = /\$(?:\{ORIGIN\}|ORIGIN(?![A-Za-z0-9_]))/;

/**
 * Expands $ORIGIN, $LIB and $PLATFORM, with or without braces; keeps other dollar signs (glibc
 * elf/dl-load.c, _dl_dst_substitute).
 *
 * @returns undefined for a string with a token that has no value, which the loader skips
 */
export function expandTokens(text: string, values: TokenValues): string | undefined {
  if (!text.includes('$')) return text;
  if (values.platform === undefined && usesPlatform(text)) return undefined;
  return text.replace(TOKEN, (_all, braced: string | undefined, bare: string | undefined) => {
    switch (braced ?? bare) {
      case 'ORIGIN':
        return values.origin;
      case 'LIB':
        return values.lib;
      default:
        return values.platform ?? '';
    }
  });
}

/** Returns whether the expansion of the string depends on the processor. */
export function usesPlatform(text: string): boolean {
  return PLATFORM_TOKEN.test(text);
}

export function usesOrigin(text: string): boolean {
  return ORIGIN_TOKEN.test(text);
}

/**
 * Expands $ORIGIN in a search path as musl does: any other token voids the whole path; a token
 * without braces may be followed by any character (ldso/dynlink.c, fixup_rpath).
 *
 * @returns undefined for a path that musl ignores
 */
export function expandMuslPath(path: string, origin: string): string | undefined {
  if (/\$(?!ORIGIN|\{ORIGIN\})/.test(path)) return undefined;
  return path.replace(/\$(?:ORIGIN|\{ORIGIN\})/g, () => origin);
}
