import { JailbuildError } from '../errors.js';
import type { Entry } from '../manifest/manifest.js';
import { nanoseconds, timestamp } from '../manifest/timestamp.js';

const SECOND = 1_000_000_000n;

/**
 * The time that SOURCE_DATE_EPOCH gives, in nanoseconds, or undefined where it is not set
 * (reproducible-builds.org, "SOURCE_DATE_EPOCH specification").
 *
 * @throws JailbuildError USAGE if it is not a number of seconds
 */
export function sourceDateEpoch(environment: NodeJS.ProcessEnv = process.env): bigint | undefined {
  const text = environment.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,12}$/.test(text)) {
    throw new JailbuildError('USAGE', `SOURCE_DATE_EPOCH=${text}: is not a number of seconds`);
  }
  return BigInt(text) * SECOND;
}

/**
 * The entries with times that say nothing of the machine: none is later than `epoch`, and a
 * directory, whose own time tells when the host last installed something in it, has that of the
 * newest thing below it. An empty directory keeps its own.
 */
export function reproducibleTimes(entries: readonly Entry[], epoch?: bigint): Entry[] {
  const clamp = (ns: bigint) => (epoch !== undefined && ns > epoch ? epoch : ns);
  const newest = new Map<string, bigint>();
  for (const { path, type, mtime } of entries) {
    if (type === 'directory') continue;
    const time = nanoseconds(mtime);
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const parent = path.slice(0, cut);
      const known = newest.get(parent);
      // What is above has at least this time too.
      if (known !== undefined && known >= time) break;
      newest.set(parent, time);
    }
  }
  return entries.map((entry) => {
    const below = entry.type === 'directory' ? newest.get(entry.path) : undefined;
    return { ...entry, mtime: timestamp(clamp(below ?? nanoseconds(entry.mtime))) };
  });
}

/**
 * The time that an image or a bill of materials is said to be from: `epoch`, or the newest of its
 * files, to the second.
 */
export function creationTime(entries: readonly Entry[], epoch?: bigint): Date {
  let newest = 0n;
  for (const { mtime } of entries) {
    const time = nanoseconds(mtime);
    if (time > newest) newest = time;
  }
  return new Date(Number((epoch ?? newest) / SECOND) * 1000);
}

/** RFC 3339 without a fraction. */
export function rfc3339(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
