import type { Entry, Manifest } from '../../manifest/manifest.js';
import { reasonText } from '../../manifest/reason-text.js';
import { formatSize, plural, printable } from './text.js';

const TYPE_LETTER = {
  directory: 'd',
  file: '-',
  symlink: 'l',
  'character-device': 'c',
  'block-device': 'b',
  fifo: 'p',
} as const;
const PERMISSIONS = ['---', '--x', '-w-', '-wx', 'r--', 'r-x', 'rw-', 'rwx'];
/** Hex digits of a digest in the table; JSON has all. */
const DIGEST_DIGITS = 12;

/** Formats a manifest: one entry a line in the manner of `ls -l`, with its reasons, and a summary. */
export function manifestTable(manifest: Manifest): string {
  const rows = manifest.entries.map((entry) => [
    TYPE_LETTER[entry.type] + permissions(entry.mode),
    `${entry.uid}:${entry.gid}`,
    entry.type === 'file' ? String(entry.size) : '',
    entry.type === 'file'
      ? (entry.digest ?? '').replace('sha256:', '').slice(0, DIGEST_DIGITS)
      : '',
    entry.path + origin(entry),
    reasons(entry),
  ]);
  const header = ['MODE', 'OWNER', 'SIZE', 'SHA256', 'PATH', 'REASONS'];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => printable(row[column] ?? '').length)),
  );
  const lines = [header, ...rows].map((row) =>
    row
      .map((cell, column) => {
        const text = printable(cell);
        const width = widths[column] ?? 0;
        return column === 2 ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
  const files = manifest.entries.filter((entry) => entry.type === 'file');
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const summary = `${plural(manifest.entries.length, 'entry', 'entries')}, ${plural(files.length, 'file')}, ${formatSize(bytes)}`;
  const hints = (manifest.hints ?? []).map((hint) => `Hint: ${printable(hint)}.\n`);
  return `${lines.join('\n')}\n\n${summary}\n${hints.join('')}`;
}

/** Returns the target of a link, and the source if its path differs. */
function origin(entry: Entry): string {
  const target =
    entry.type === 'symlink'
      ? ` -> ${entry.target}`
      : entry.type === 'file' && entry.hardlink !== undefined
        ? ` = ${entry.hardlink}`
        : '';
  if (entry.source === undefined || entry.source === entry.path) return target;
  return `${target} (from ${entry.source})`;
}

function reasons(entry: Entry): string {
  const [first, ...others] = entry.reasons;
  if (first === undefined) return '';
  return others.length === 0
    ? reasonText(first)
    : `${reasonText(first)} and ${plural(others.length, 'more reason')}`;
}

/** Formats `4755` as `rwsr-xr-x`. */
function permissions(mode: string): string {
  const bits = Number.parseInt(mode, 8);
  const classes = [6, 3, 0].map((shift) => PERMISSIONS[(bits >> shift) & 7] ?? '');
  const special = [
    { bit: 0o4000, set: 's', unset: 'S' },
    { bit: 0o2000, set: 's', unset: 'S' },
    { bit: 0o1000, set: 't', unset: 'T' },
  ];
  return classes
    .map((text, index) => {
      const mark = special[index];
      if (mark === undefined || (bits & mark.bit) === 0) return text;
      return text.slice(0, 2) + (text.endsWith('x') ? mark.set : mark.unset);
    })
    .join('');
}
