import type { CheckResult } from '../../jail/check/check.js';
import type { CheckFinding } from '../../jail/check/finding.js';
import { plural, printable } from './text.js';

const KIND_WIDTH = 10;

/** Formats the findings of a check, one a line and grouped by kind, with a summary. */
export function checkText({ findings, checked, unknown }: CheckResult): string {
  const lines = findings.map(({ kind, path, details }) => {
    const about = details.length === 0 ? '' : `: ${printable(details.join(', '))}`;
    return `${kind.padEnd(KIND_WIDTH)}  ${printable(path)}${about}`;
  });
  const unread =
    unknown.length === 0
      ? ''
      : `; the content of ${plural(unknown.length, 'file')} could not be compared`;
  const summary =
    findings.length === 0
      ? `Clean: ${plural(checked, 'entry', 'entries')} as built`
      : `${plural(checked, 'entry', 'entries')}: ${kindCounts(findings)}`;
  return `${[...lines, `${summary}${unread}`].join('\n')}\n`;
}

function kindCounts(findings: readonly CheckFinding[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of findings) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}
