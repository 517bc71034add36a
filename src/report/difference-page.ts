import { formatSize, plural } from '../text/format.js';
import type { Change, Comparison, ReasonChange } from './compare.js';
import { html } from './html.js';
import {
  type Cell,
  filterBar,
  notes,
  page,
  type Section,
  sizeCell,
  table,
  textCell,
} from './page.js';

/** Formats a comparison as a self-contained HTML page. */
export async function differencePage(comparison: Comparison): Promise<string> {
  const { before, after, changes, privileges, sizeBefore, sizeAfter } = comparison;
  const count = (kind: Change['kind']) =>
    changes.filter((change) => change.kind === kind).length.toLocaleString('en');
  const change = sizeAfter - sizeBefore;
  return page(
    `Changes from ${before} to ${after}`,
    [
      {
        name: 'Size',
        value: formatSize(sizeAfter),
        note: change === 0 ? 'as before' : signed(change),
      },
      { name: 'Added', value: count('added') },
      { name: 'Removed', value: count('removed') },
      { name: 'Changed', value: count('changed') },
      {
        name: 'Changed privileges',
        value: String(privileges.length),
        mood: privileges.length === 0 ? 'good' : 'bad',
      },
    ],
    [
      { id: 'package-changes', heading: 'Packages', content: packages(comparison) },
      ...privilegeSections(comparison),
      { id: 'entries', heading: 'Entries', content: entries(comparison) },
      ...reasonSections(comparison),
    ],
  );
}

function packages({ packages: list }: Comparison): string {
  if (list.length === 0) return '<p class="empty">No packages differ.</p>';
  return table({
    id: 'packages',
    caption: plural(list.length, 'package'),
    columns: ['Package', 'Before', 'After', 'Size'],
    rows: list.map(({ name, before = '', after = '', sizeChange }) => [
      textCell(name),
      textCell(before),
      textCell(after),
      { html: sizeChange === 0 ? '' : signed(sizeChange), sort: sizeChange },
    ]),
  });
}

function privilegeSections({ privileges }: Comparison): Section[] {
  if (privileges.length === 0) return [];
  const content = table({
    id: 'by-privileges',
    caption: plural(privileges.length, 'file'),
    columns: ['Path', 'Before', 'After'],
    rows: privileges.map(({ path, before = 'none', after = 'none' }) => [
      textCell(path),
      textCell(before),
      { html: `<strong class=bad>${html(after)}</strong>` },
    ]),
  });
  return [{ id: 'privileges', heading: 'Set-ID and capabilities', content }];
}

function entries({ changes, notCompared }: Comparison): string {
  const unknown =
    notCompared.length === 0
      ? ''
      : `<p>Not compared, for lack of digests and files:</p>${notes(notCompared.map(html))}`;
  if (changes.length === 0) return `<p class="empty">The entries are the same.</p>${unknown}`;
  const rows = changes.map((change) => [
    textCell(change.path),
    { html: `<strong class=${change.kind}>${change.kind}</strong>` },
    sideCell(change.before),
    sideCell(change.after),
    textCell(change.package ?? ''),
    textCell(change.details.join('; ')),
  ]);
  const columns = ['Path', 'Change', 'Before', 'After', 'Package', 'Details'];
  const caption = plural(changes.length, 'change');
  return (
    filterBar('path, package or change') +
    table({ id: 'all', caption, kind: 'changes', columns, rows }) +
    unknown
  );
}

function reasonSections({ reasons }: Comparison): Section[] {
  if (reasons.length === 0) return [];
  const content = table({
    id: 'by-reason',
    caption: plural(reasons.length, 'entry', 'entries'),
    columns: ['Path', 'New reasons', 'Removed reasons'],
    rows: reasons.map(({ path, added, removed }) => [
      textCell(path),
      textCell(few(added)),
      textCell(few(removed)),
    ]),
  });
  return [{ id: 'reasons', heading: 'Reasons', content }];
}

/** The maximum number of reasons listed for an entry. */
const REASONS_SHOWN = 5;

function few(reasons: ReasonChange['added']): string {
  const more = reasons.length - REASONS_SHOWN;
  return [...reasons.slice(0, REASONS_SHOWN), ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

function sideCell(bytes: number | undefined): Cell {
  return bytes === undefined ? { html: '', sort: -1 } : sizeCell(bytes);
}

function signed(bytes: number): string {
  return `${bytes < 0 ? '−' : '+'}${formatSize(Math.abs(bytes))}`;
}
