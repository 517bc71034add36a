import { capabilityText } from './file-capabilities.js';
import type { Entry } from './manifest.js';

/** The extended attribute that has the capabilities of a file. */
export const CAPABILITY_XATTR = 'security.capability';

/** Programs that a message names. */
const MOST_NAMED = 5;

/** The set-user-ID and set-group-ID bits of a mode. */
const SET_ID = 0o6000;

/**
 * Describes, in one sentence, the programs among some entries that give rights to whoever starts them:
 * set-user-ID, set-group-ID, file capabilities.
 *
 * @returns the sentence, or nothing
 */
export function describePrivileged(entries: readonly Entry[]): string[] {
  const named = entries.flatMap((entry): string[] => {
    if (entry.type !== 'file') return [];
    const rights = [
      ...((Number.parseInt(entry.mode, 8) & SET_ID) === 0 ? [] : [`mode ${entry.mode}`]),
      ...capabilityOf(entry),
    ];
    return rights.length === 0 ? [] : [`${entry.path} (${rights.join(', ')})`];
  });
  if (named.length === 0) return [];
  const more = named.length <= MOST_NAMED ? '' : ` and ${named.length - MOST_NAMED} more`;
  return [
    `copied with set-user-ID, set-group-ID or capabilities: ${named.slice(0, MOST_NAMED).join(', ')}${more}; --forbid-set-id refuses such files, and --exclude leaves them out`,
  ];
}

function capabilityOf({ xattrs }: Entry): string[] {
  const value = xattrs?.[CAPABILITY_XATTR];
  return value === undefined ? [] : [capabilityText(value)];
}
