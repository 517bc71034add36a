import { CAPABILITIES } from './capability-names.js';
import type { Entry } from './manifest.js';

/** The extended attribute that has the capabilities of a file. */
export const CAPABILITY_XATTR = 'security.capability';

/** Programs that a message names. */
const MOST_NAMED = 5;

/** The set-user-ID and set-group-ID bits of a mode. */
const SET_ID = 0o6000;

/** Revisions of struct vfs_cap_data with one and with two words of capabilities (linux/capability.h). */
const REVISION_MASK = 0xff000000;
const REVISION_1 = 0x01000000;
const EFFECTIVE = 1;

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
  return value === undefined ? [] : [describeCapability(value)];
}

/**
 * File capabilities as getcap(8) prints them: `cap_net_raw=ep`.
 *
 * @param value of the attribute, in base64 (struct vfs_cap_data, linux/capability.h)
 */
export function describeCapability(value: string): string {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length < 12) return 'capabilities that are malformed';
  const magic = bytes.readUInt32LE(0);
  const words = (magic & REVISION_MASK) === REVISION_1 || bytes.length < 20 ? 1 : 2;
  const has = (set: 0 | 1, bit: number): boolean => {
    const word = bit >> 5;
    if (word >= words) return false;
    return ((bytes.readUInt32LE(4 + word * 8 + set * 4) >>> (bit & 31)) & 1) === 1;
  };
  const groups = new Map<string, string[]>();
  for (let bit = 0; bit < words * 32; bit++) {
    const isPermitted = has(0, bit);
    const isInheritable = has(1, bit);
    if (!isPermitted && !isInheritable) continue;
    const isEffective = (magic & EFFECTIVE) !== 0;
    const flags = `${isEffective ? 'e' : ''}${isInheritable ? 'i' : ''}${isPermitted ? 'p' : ''}`;
    const name = `cap_${CAPABILITIES[bit] ?? bit}`;
    groups.set(flags, [...(groups.get(flags) ?? []), name]);
  }
  const text = [...groups].map(([flags, names]) => `${names.join(',')}=${flags}`).join(' ');
  return text === '' ? 'no capabilities' : text;
}
