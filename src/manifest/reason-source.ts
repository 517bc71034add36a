import type { Reason } from './manifest.js';

/**
 * Returns the path of the entry that another entry is needed for; undefined for a reason without
 * one.
 */
export function reasonSource(reason: Reason): string | undefined {
  if ('by' in reason && reason.by !== undefined) return reason.by;
  return 'of' in reason ? reason.of : undefined;
}
