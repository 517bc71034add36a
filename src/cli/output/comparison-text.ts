import type { Comparison } from '../../report/compare.js';
import { formatSize, plural, printable } from './text.js';

const MARK = { added: '+', removed: '-', changed: '~' } as const;

/** Formats a comparison: one line per change, then packages, privileges, reasons and sizes. */
export function comparisonText(comparison: Comparison): string {
  const { changes, packages, privileges, reasons, notCompared, sizeBefore, sizeAfter } = comparison;
  const lines = changes.map(({ kind, path, details }) => {
    const more = details.length === 0 ? '' : `: ${details.join(', ')}`;
    return printable(`${MARK[kind]} ${path}${more}`);
  });
  const versions = packages.map(({ name, before, after, sizeChange }) => {
    const versionText = before === after ? before : `${before ?? 'none'} -> ${after ?? 'none'}`;
    return printable(`package ${name}: ${versionText} (${signed(sizeChange)})`);
  });
  const rights = privileges.map(({ path, before = 'none', after = 'none' }) =>
    printable(`privileges ${path}: ${before} -> ${after}`),
  );
  const why = reasons.map(({ path, added, removed }) =>
    printable(`reasons ${path}: ${[...few(added, '+'), ...few(removed, '-')].join(', ')}`),
  );
  const unknown =
    notCompared.length === 0
      ? []
      : [
          `${plural(notCompared.length, 'file')} of equal size not compared, for lack of digests and files`,
        ];
  const size = `${formatSize(sizeBefore)} -> ${formatSize(sizeAfter)}`;
  const summary =
    changes.length === 0
      ? `No differences: ${formatSize(sizeAfter)}`
      : `${plural(changes.length, 'difference')}, ${size} (${signed(sizeAfter - sizeBefore)})`;
  return [...lines, ...versions, ...rights, ...why, ...unknown, summary]
    .map((line) => `${line}\n`)
    .join('');
}

/** The number of reasons listed per entry; hundreds of files may need one library. */
const REASONS_SHOWN = 3;

function few(reasons: readonly string[], sign: string): string[] {
  const shown = reasons.slice(0, REASONS_SHOWN).map((reason) => `${sign} ${reason}`);
  const more = reasons.length - shown.length;
  return more > 0 ? [...shown, `${sign} ${more} more`] : shown;
}

function signed(bytes: number): string {
  return `${bytes < 0 ? '-' : '+'}${formatSize(Math.abs(bytes))}`;
}
