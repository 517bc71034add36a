const SECOND = 1_000_000_000n;

/** Formats nanoseconds since the epoch as in manifests: seconds, a point, nine digits. */
export function timestamp(ns: bigint): string {
  const seconds = ns / SECOND - (ns % SECOND < 0n ? 1n : 0n);
  return `${seconds}.${(ns - seconds * SECOND).toString().padStart(9, '0')}`;
}

/** Parses the time of a manifest to nanoseconds since the epoch. */
export function nanoseconds(mtime: string): bigint {
  const [seconds = '0', fraction = '0'] = mtime.split('.');
  return BigInt(seconds) * SECOND + BigInt(fraction);
}
