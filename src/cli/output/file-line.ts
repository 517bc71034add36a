import type { FileReport } from '../../jail/report.js';
import { baseName } from '../../text/base-name.js';
import { printable } from './text.js';

/** The width to which names are aligned, as in the original script. */
const NAME_WIDTH = 25;
const MARK = { ok: '[OK]', skipped: '[SKIPPED]', failed: '[FAILED]' } as const;

/** Returns the line of an entry: its base name and status; if verbose, its path and action. */
export function fileLine(report: FileReport, verbose: boolean): string {
  const reason = report.reason === undefined ? '' : ` ${printable(report.reason)}`;
  if (verbose)
    return `${printable(report.path)} : ${MARK[report.status]} ${report.action}${reason}`;
  const name = printable(baseName(report.path));
  return `${name.padStart(NAME_WIDTH)} : ${MARK[report.status]}${reason}`;
}
