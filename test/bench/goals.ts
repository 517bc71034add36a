import { median, type Timing } from './compare.js';

/** Maximum time of a contender, relative to another one. */
export interface Goal {
  readonly of: string;
  readonly to: string;
  readonly wall?: number;
  readonly processor?: number;
}

/** Prints the measured ratio for each goal, beside its limit. */
export function printGoals(timings: readonly Timing[], goals: readonly Goal[]): void {
  const byName = new Map(timings.map((timing) => [timing.name, timing]));
  for (const { of, to, wall, processor } of goals) {
    const [one, other] = [byName.get(of), byName.get(to)];
    if (one === undefined || other === undefined) continue;
    const parts = [
      part('wall', median(one) / median(other), wall),
      part('processor', one.processor / other.processor, processor),
    ];
    const text = parts.filter((found) => found !== undefined).join(', ');
    console.log(`  ${of} / ${to}: ${text}`);
  }
}

function part(what: string, ratio: number, limit: number | undefined): string | undefined {
  if (limit === undefined) return undefined;
  return `${what} ${ratio.toFixed(2)} (limit ${limit}${ratio <= limit ? '' : ', missed'})`;
}
