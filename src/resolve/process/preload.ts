/** What glibc has every program load (ld.so(8)). */
export const PRELOAD = '/etc/ld.so.preload';

/** The libraries that the file names, by name or path, parted by blanks or colons; `#` begins a comment. */
export function preloadNames(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => line.replace(/#.*/, '').split(/[\s:]+/))
    .filter((name) => name !== '');
}
