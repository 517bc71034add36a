import type { Comparison } from '../../report/compare.js';
import { formatSize, plural, printable } from './text.js';

const MARK = { added: '+', removed: '-', changed: '~' } as const;

/** A comparison as text: a line for each change, then packages and sizes. */
export function comparisonText(comparison: Comparison): string {
  const { changes, packages, privileges, sizeBefore, sizeAfter } = comparison;
  const lines = changes.map(({ kind, path, details }) => {
    const more = details.length === 0 ? '' : `: ${details.join(', ')}`;
    return printable(`${MARK[kind]} ${path}${more}`);
  });
  const versions = packages.map(({ name, before, after, sizeChange }) => {
    const versionText = before === after ? before : `${before ?? 'none'} -> ${after ?? 'none'}`;
    return printable(`package ${name}: ${versionText} (${signed(sizeChange)})`);
  });
  const warnings = privileges.map((path) => printable(`${path}: new set-ID bits or capabilities`));
  const size = `${formatSize(sizeBefore)} -> ${formatSize(sizeAfter)}`;
  const summary =
    changes.length === 0
      ? `No differences: ${formatSize(sizeAfter)}`
      : `${plural(changes.length, 'difference')}, ${size} (${signed(sizeAfter - sizeBefore)})`;
  return [...lines, ...versions, ...warnings, summary].map((line) => `${line}\n`).join('');
}

function signed(bytes: number): string {
  return `${bytes < 0 ? '-' : '+'}${formatSize(Math.abs(bytes))}`;
}
