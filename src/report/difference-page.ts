import { formatSize, plural } from '../text/format.js';
import type { Change, Comparison } from './compare.js';
import { html } from './html.js';
import { type Cell, page, section, sizeCell, summary, table } from './page.js';

/** Writes a comparison as one HTML page that needs nothing else. */
export async function differencePage(comparison: Comparison): Promise<string> {
  const { before, after, changes, packages, privileges, sizeBefore, sizeAfter } = comparison;
  const count = (kind: Change['kind']) => changes.filter((change) => change.kind === kind).length;
  return page(`Changes from ${before} to ${after}`, [
    summary([
      ['Size before', formatSize(sizeBefore)],
      ['Size after', formatSize(sizeAfter)],
      ['Added', String(count('added'))],
      ['Removed', String(count('removed'))],
      ['Changed', String(count('changed'))],
      ['Changed privileges', String(privileges.length)],
    ]),
    section('packages', 'Packages', [
      packages.length === 0
        ? '<p>The packages are the same.</p>'
        : table(
            'changed-packages',
            plural(packages.length, 'package'),
            ['Package', 'Before', 'After', 'Size'],
            packages.map(({ name, before: old = '', after: current = '', sizeChange }) => [
              { html: html(name) },
              { html: html(old) },
              { html: html(current) },
              changeCell(sizeChange),
            ]),
          ),
    ]),
    section('entries', 'Entries', [
      '<div id="search" class="bar" hidden><label>Filter <input id="filter" type="search" size="40" placeholder="path, package or change"></label> <span id="count" role="status"></span></div>',
      changes.length === 0
        ? '<p>The entries are the same.</p>'
        : table(
            'all',
            plural(changes.length, 'change'),
            ['Path', 'Change', 'Before', 'After', 'Package', 'Details'],
            changes.map((change) => [
              { html: html(change.path) },
              { html: `<strong class="${change.kind}">${change.kind}</strong>` },
              sideCell(change.before),
              sideCell(change.after),
              { html: html(change.package ?? '') },
              { html: html(change.details.join('; ')) },
            ]),
          ),
    ]),
  ]);
}

function sideCell(bytes: number | undefined): Cell {
  return bytes === undefined ? { html: '', sort: -1 } : sizeCell(bytes);
}

function changeCell(bytes: number): Cell {
  const sign = bytes < 0 ? '−' : '+';
  return { html: `${sign}${formatSize(Math.abs(bytes))}`, sort: bytes };
}
