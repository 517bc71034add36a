import { capabilityText } from './file-capabilities.js';
import type { Entry } from './manifest.js';

/** The extended attribute of file capabilities. */
export const CAPABILITY_XATTR = 'security.capability';

/** The maximum number of programs named in a message. */
const MOST_NAMED = 5;

/** The set-user-ID and set-group-ID bits of a mode. */
const SET_ID = 0o6000;

/** Returns whether an entry is a program that grants privileges when started. */
export function grantsPrivileges({ type, mode, xattrs }: Entry): boolean {
  if (type !== 'file') return false;
  return (Number.parseInt(mode, 8) & SET_ID) !== 0 || xattrs?.[CAPABILITY_XATTR] !== undefined;
}

/**
 * Describes, in one sentence, the programs among some entries that grant privileges when started:
 * set-user-ID, set-group-ID, file capabilities.
 *
 * @returns the sentence; empty if there are none
 */
export function describePrivileged(entries: readonly Entry[]): string[] {
  const named = entries.filter(grantsPrivileges).map((entry) => {
    const rights = [
      ...((Number.parseInt(entry.mode, 8) & SET_ID) === 0 ? [] : [`mode ${entry.mode}`]),
      ...capabilityOf(entry),
    ];
    return `${entry.path} (${rights.join(', ')})`;
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
