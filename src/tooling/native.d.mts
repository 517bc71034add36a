export function buildNative(
  sources: string | readonly string[],
  program: string,
  without: string,
): void;
export function compileNative(
  sources: string | readonly string[],
  out: string,
  compiler: string,
  options?: { readonly flags?: readonly string[]; readonly stdio?: 'inherit' | 'ignore' },
): boolean;
