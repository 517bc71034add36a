const SECOND = 1_000_000_000n;

/** Holds any time of 64 bits. */
const text = Buffer.alloc(32);

/** Formats nanoseconds since the epoch as in manifests: seconds, a point, nine digits. */
export function timestamp(ns: bigint): string {
  const rest = Number(ns % SECOND);
  const seconds = ns / SECOND - (rest < 0 ? 1n : 0n);
  const fraction = String(rest < 0 ? rest + 1e9 : rest).padStart(9, '0');
  // Written out, since V8 would keep the joined string as its parts, which take more than twice the memory.
  return text.toString('latin1', 0, text.write(`${seconds}.${fraction}`, 'latin1'));
}

/** Parses the time of a manifest to nanoseconds since the epoch. */
export function nanoseconds(mtime: string): bigint {
  const [seconds = '0', fraction = '0'] = mtime.split('.');
  return BigInt(seconds) * SECOND + BigInt(fraction);
}
