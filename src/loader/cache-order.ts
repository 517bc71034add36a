/**
 * Compares sonames in the ascending order of ld.so.cache, where runs of digits count as numbers (glibc
 * elf/dl-cache.c, _dl_cache_libcmp). The loader bisects with it, so a cache in another order loses
 * libraries.
 *
 * @returns less than, equal to or more than 0, as for Array.sort
 */
export function compareCacheNames(one: string, other: string): number {
  const a = Buffer.from(`${one}\0`);
  const b = Buffer.from(`${other}\0`);
  let i = 0;
  let j = 0;
  const at = (bytes: Buffer, index: number) => bytes[index] ?? 0;
  while (at(a, i) !== 0) {
    if (isDigit(at(a, i))) {
      if (!isDigit(at(b, j))) return 1;
      const [left, afterLeft] = number(a, i);
      const [right, afterRight] = number(b, j);
      i = afterLeft;
      j = afterRight;
      if (left !== right) return left - right;
    } else if (isDigit(at(b, j))) {
      return -1;
    } else if (at(a, i) !== at(b, j)) {
      return at(a, i) - at(b, j);
    } else {
      i++;
      j++;
    }
  }
  return at(a, i) - at(b, j);
}

/** Returns the same key for names that compare as equal: lib.so.1 and lib.so.01. */
export function cacheKey(name: string): string {
  // Numbers in nearly all names have no leading zeros.
  if (!/0\d|\d{10}/.test(name)) return name;
  return name.replace(/\d+/g, (digits) => `${number(Buffer.from(digits), 0)[0]}`);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/**
 * Parses a run of digits as a C int, which wraps around; returns it with the offset that follows
 * it.
 */
function number(bytes: Buffer, start: number): [value: number, end: number] {
  let value = 0;
  let end = start;
  for (let byte = bytes[end] ?? 0; isDigit(byte); byte = bytes[++end] ?? 0) {
    value = (Math.imul(value, 10) + byte - 0x30) | 0;
  }
  return [value, end];
}
