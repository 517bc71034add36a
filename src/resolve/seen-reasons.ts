import type { Reason } from '../manifest/manifest.js';

/** Reasons by what they name first: one, or the keys of several. A key for each would take longer than all else. */
export type SeenReasons = Map<string, Reason | Set<string>>;

/** Adds a reason; returns false if it was there. */
export function note(seen: SeenReasons, reason: Reason): boolean {
  const name = firstName(reason);
  const alike = seen.get(name);
  if (alike === undefined) {
    seen.set(name, reason);
    return true;
  }
  const keys = alike instanceof Set ? alike : new Set([reasonKey(alike)]);
  if (keys !== alike) seen.set(name, keys);
  const key = reasonKey(reason);
  if (keys.has(key)) return false;
  keys.add(key);
  return true;
}

/** Returns a string that is the same in equal reasons, and differs in most others. */
function firstName(reason: Reason): string {
  if ('by' in reason) return reason.by;
  if ('of' in reason) return reason.of;
  return 'as' in reason ? (reason.as ?? reason.kind) : reason.kind;
}

/** Returns whether two reasons are equal in all fields. */
export function isSameReason(one: Reason, other: Reason): boolean {
  return one === other || (one.kind === other.kind && reasonKey(one) === reasonKey(other));
}

function reasonKey(reason: Reason): string {
  return Object.values(reason).join('\0');
}
