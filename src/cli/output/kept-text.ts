import { endText } from '../../prove/outcome.js';
import type { ProofRound } from '../../prove/prove.js';
import { lacksText } from './lacks-text.js';
import { formatSize } from './text.js';

/**
 * Returns why a jail keeps everything that was added to it.
 *
 * @param what the command or proof
 */
export function keptText(
  { size, failed, remedies }: NonNullable<ProofRound['kept']>,
  what: string,
): string {
  const all = `the jail keeps all that was added, ${formatSize(size)}`;
  if (failed === undefined) return `${what} uses what was added: ${all}\n`;
  const lacks = lacksText({ remedies, added: [], passes: false });
  return `with what it used alone, ${what} ${endText(failed)}: ${all}\n${lacks}`;
}
