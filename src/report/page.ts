import { readFileSync } from 'node:fs';
import { reasonSource } from '../manifest/reason-source.js';
import { reasonText } from '../manifest/reason-text.js';
import { templatePath } from '../profile/templates.js';
import { formatSize, plural } from '../text/format.js';
import { type Contents, type Item, totalSize } from './contents.js';
import { embeddedJson, html } from './html.js';

/** Reasons of one entry that are listed; a library may be needed by hundreds. */
const REASONS_SHOWN = 3;

/**
 * Writes the contents of a root as one HTML page that needs nothing else: no network, and without
 * JavaScript it is plain tables. Equal contents give equal bytes.
 */
export async function reportPage(contents: Contents): Promise<string> {
  const { title, items, warnings, hints } = contents;
  const numbers = new Map(items.map(({ entry }, index) => [entry.path, index]));
  const files = items.filter(({ entry }) => entry.type !== 'directory').length;
  const privileged = items.filter(({ isSetId, isCapable }) => isSetId || isCapable);
  return page(`Report of ${title}`, [
    summary([
      ['Size', formatSize(totalSize(items))],
      ['Files', String(files)],
      ['Entries', String(items.length)],
      ['Packages', String(packagesOf(items).length)],
      ['Set-ID or capabilities', String(privileged.length)],
    ]),
    notes('Warnings', warnings),
    notes('May be missing at run time', hints),
    section('sizes', 'Sizes', [
      '<div id="treemap" hidden><div class="bar"><label>Group by <select id="group"><option value="package">package</option><option value="directory">directory</option><option value="reason">reason</option></select></label></div><div id="map" role="list" aria-label="Sizes as areas"></div></div>',
      packageTable(items),
    ]),
    section('graph', 'Dependencies', [
      '<div id="focus" hidden><div class="bar"><label>Show <input id="node" list="paths" autocomplete="off" size="50"></label><datalist id="paths"></datalist></div><div id="columns" aria-live="polite"></div></div>',
      '<noscript><p>The graph needs JavaScript. The table below lists the reasons of each file.</p></noscript>',
    ]),
    section('entries', 'Entries', [
      '<div id="search" class="bar" hidden><label>Filter <input id="filter" type="search" size="40" placeholder="path, package or reason"></label> <span id="count" role="status"></span></div>',
      entryTable(items, numbers),
    ]),
    `<script type="application/json" id="data">${embeddedJson(dataOf(items, numbers))}</script>`,
  ]);
}

/** A page with the title and sections, with the script and style that they share. */
export async function page(title: string, sections: readonly string[]): Promise<string> {
  const { createHash } = await import('node:crypto');
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const style = readFileSync(templatePath('report/report.css'), 'utf8');
  const script = readFileSync(templatePath('report/report.js'), 'utf8');
  const policy = `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; base-uri 'none'; form-action 'none'`;
  return [
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${html(title)}</title>`,
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    `<header><h1>${html(title)}</h1></header>`,
    '<main>',
    ...sections.filter((text) => text !== ''),
    '</main>',
    '<footer>Written by jailbuild</footer>',
    `<script>${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/** A labelled section of a page. */
export function section(id: string, heading: string, content: readonly string[]): string {
  return `<section aria-labelledby="${id}-heading"><h2 id="${id}-heading">${html(heading)}</h2>${content.join('')}</section>`;
}

/** Figures with their names. */
export function summary(figures: readonly (readonly [name: string, value: string])[]): string {
  const list = figures.map(
    ([name, value]) => `<div><dt>${html(name)}</dt><dd>${html(value)}</dd></div>`,
  );
  return `<dl class="figures">${list.join('')}</dl>`;
}

function notes(heading: string, texts: readonly string[]): string {
  if (texts.length === 0) return '';
  const id = heading.toLowerCase().replace(/\W+/g, '-');
  return section(id, heading, [
    `<ul>${texts.map((text) => `<li>${html(text)}</li>`).join('')}</ul>`,
  ]);
}

/** One cell of a table: text, or HTML that is safe already, with the value that it is sorted by. */
export interface Cell {
  readonly html: string;
  readonly sort?: number;
}

/** A table with a caption, whose columns the script of the page can sort. */
export function table(
  id: string,
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  const head = columns.map((name) => `<th scope="col">${html(name)}</th>`).join('');
  const body = rows.map((cells, number) => {
    const list = cells.map(({ html: content, sort }, index) => {
      const order = sort === undefined ? '' : ` class="number" data-sort="${sort}"`;
      return index === 0 ? `<th scope="row">${content}</th>` : `<td${order}>${content}</td>`;
    });
    return `<tr id="${id}-${number}">${list.join('')}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="${html(caption)}"><table id="${id}" class="sortable"><caption>${html(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`;
}

/** A size in bytes as a cell. */
export function sizeCell(bytes: number): Cell {
  return { html: formatSize(bytes), sort: bytes };
}

interface PackageShare {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly files: number;
  readonly size: number;
}

/** Packages by size, the largest first. */
function packagesOf(items: readonly Item[]): PackageShare[] {
  const shares = new Map<string, PackageShare>();
  for (const { owner, size, entry } of items) {
    if (owner === undefined || entry.type === 'directory') continue;
    const known = shares.get(owner.name);
    shares.set(owner.name, {
      name: owner.name,
      version: owner.version,
      license: owner.license ?? '',
      files: (known?.files ?? 0) + 1,
      size: (known?.size ?? 0) + size,
    });
  }
  return [...shares.values()].sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
}

function packageTable(items: readonly Item[]): string {
  const shares = packagesOf(items);
  if (shares.length === 0) return '<p>No package database knows these files.</p>';
  const rows = shares.map(({ name, version, license, files, size }) => [
    { html: html(name) },
    { html: html(version) },
    { html: html(license) },
    { html: String(files), sort: files },
    sizeCell(size),
  ]);
  const columns = ['Package', 'Version', 'License', 'Files', 'Size'];
  return table('packages', plural(shares.length, 'package'), columns, rows);
}

function entryTable(items: readonly Item[], numbers: ReadonlyMap<string, number>): string {
  const rows = items.map(({ entry, owner, isSetId, isCapable }) => {
    const marks = [...(isSetId ? ['set-ID'] : []), ...(isCapable ? ['capabilities'] : [])];
    const badges = marks.map((mark) => ` <strong class="mark">${mark}</strong>`).join('');
    const target = entry.type === 'symlink' ? ` → ${html(entry.target)}` : '';
    return [
      { html: `${html(entry.path)}${target}${badges}` },
      { html: entry.type },
      { html: entry.mode },
      { html: `${entry.uid}:${entry.gid}` },
      entry.type === 'file' ? sizeCell(entry.size) : { html: '', sort: 0 },
      { html: owner === undefined ? '' : html(`${owner.name} ${owner.version}`) },
      { html: reasonsCell(entry.reasons, numbers) },
    ];
  });
  const columns = ['Path', 'Type', 'Mode', 'Owner', 'Size', 'Package', 'Reasons'];
  return table('all', plural(items.length, 'entry', 'entries'), columns, rows);
}

function reasonsCell(
  reasons: Item['entry']['reasons'],
  numbers: ReadonlyMap<string, number>,
): string {
  const shown = reasons.slice(0, REASONS_SHOWN).map((reason) => {
    const number = numbers.get(reasonSource(reason) ?? '');
    const text = html(reasonText(reason));
    return number === undefined ? text : `<a href="#all-${number}">${text}</a>`;
  });
  const more = reasons.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

/** What the script needs beyond the tables, with entries by their number in the table. */
function dataOf(items: readonly Item[], numbers: ReadonlyMap<string, number>) {
  return items.map(({ entry, owner, size }) => ({
    path: plain(entry.path),
    size,
    package: owner?.name ?? '',
    kind: entry.reasons[0]?.kind ?? '',
    why: plain(entry.reasons[0] === undefined ? '' : reasonText(entry.reasons[0])),
    by: entry.reasons.flatMap((reason) => {
      const number = numbers.get(reasonSource(reason) ?? '');
      return number === undefined ? [] : [[number, reason.kind] as const];
    }),
  }));
}

/** Text that the script puts into the page as text: as `html` shows it, without markup. */
function plain(text: string): string {
  return html(text).replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
