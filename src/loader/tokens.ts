/** The values of the dynamic string tokens for one requesting object (ld.so(8), "Dynamic string tokens"). */
export interface TokenValues {
  /** The directory of the object that holds the string. */
  readonly origin: string;
  /** What the loader was built with: `lib/x86_64-linux-gnu`, `lib64`, `lib`. */
  readonly lib: string;
  /** AT_PLATFORM of the kernel: `x86_64`, `aarch64`. */
  readonly platform: string;
}

const TOKEN = /\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))/g;

/** Expands $ORIGIN, $LIB and $PLATFORM, with or without braces; other dollar signs stay. */
export function expandTokens(text: string, values: TokenValues): string {
  if (!text.includes('$')) return text;
  return text.replace(TOKEN, (_all, braced: string | undefined, bare: string | undefined) => {
    switch (braced ?? bare) {
      case 'ORIGIN':
        return values.origin;
      case 'LIB':
        return values.lib;
      default:
        return values.platform;
    }
  });
}
