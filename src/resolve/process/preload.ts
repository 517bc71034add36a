/** The list of libraries that glibc loads into every program (ld.so(8)). */
export const PRELOAD = '/etc/ld.so.preload';

/** Parses the names or paths of libraries, separated by blanks or colons; `#` starts a comment. */
export function preloadNames(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => line.replace(/#.*/, '').split(/[\s:]+/))
    .filter((name) => name !== '');
}
