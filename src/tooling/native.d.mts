export function buildNative(directory: string, program: string, without: string): void;
export function compileNative(
  directory: string,
  out: string,
  compiler: string,
  options?: { readonly flags?: readonly string[]; readonly stdio?: 'inherit' | 'ignore' },
): boolean;
