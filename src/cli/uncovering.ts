import type { LaunchOptions } from '../launcher/options.js';
import { warn } from './report-error.js';

/** What gets past the cover of the record takes the record's worth. */
export async function warnOfUncovering(root: string, launch: LaunchOptions): Promise<void> {
  const { canUncover } = await import('../launcher/uncovering.js');
  if (!canUncover(root, launch)) return;
  const { noteUnprotected } = await import('../jail/record/protection.js');
  if (noteUnprotected(root)) return;
  warn(`${root}: the command can write the record of the jail: do not update this jail afterwards`);
}
