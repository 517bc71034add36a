import type { Reason } from './manifest.js';

/** The path of the entry for whose sake another one is there; undefined for a reason of its own. */
export function reasonSource(reason: Reason): string | undefined {
  if ('by' in reason && reason.by !== undefined) return reason.by;
  return 'of' in reason ? reason.of : undefined;
}
