import type { Advice } from '../manifest/advice.js';
import type { Entry } from '../manifest/manifest.js';
import { describeMissing } from '../manifest/missing.js';
import { reasonSource } from '../manifest/reason-source.js';
import { reasonText } from '../manifest/reason-text.js';
import { formatSize, plural } from '../text/format.js';
import { privilegesOf } from './compare.js';
import { type Contents, type Item, totalSize } from './contents.js';
import { embeddedJson, html } from './html.js';
import {
  type Cell,
  countCell,
  type Figure,
  filterBar,
  notes,
  page,
  type Section,
  shareCell,
  sizeCell,
  table,
  textCell,
} from './page.js';

/** The maximum number of reasons listed for an entry; hundreds of files may need a library. */
const REASONS_SHOWN = 3;

/**
 * Formats the contents of a root as a self-contained HTML page. It uses no network; without
 * JavaScript it consists of plain tables. Equal contents give equal bytes.
 */
export async function reportPage(contents: Contents): Promise<string> {
  const { title, items } = contents;
  const numbers = new Map(items.map(({ entry }, index) => [entry.path, index]));
  const sections: Section[] = [
    ...noteSections(contents),
    { id: 'sizes', heading: 'Sizes', content: sizes(contents) },
    ...licenseSections(items),
    { id: 'dependencies', heading: 'Dependencies', content: graph(items, numbers) },
    { id: 'entries', heading: 'Entries', content: entries(contents, numbers) },
  ];
  const data = embeddedJson(dataOf(items, numbers));
  return page(`Contents of ${title}`, figuresOf(contents), sections, data);
}

function figuresOf({ items, missing, unused }: Contents): Figure[] {
  const files = items.filter(({ entry }) => entry.type === 'file').length;
  const links = items.filter(({ entry }) => entry.type === 'symlink').length;
  const privileged = items.filter((item) => privilegesOf(item) !== undefined).length;
  const many = (count: number) => count.toLocaleString('en');
  return [
    { name: 'Size', value: formatSize(totalSize(items)) },
    { name: 'Files', value: many(files), note: `and ${plural(links, 'link')}` },
    { name: 'Packages', value: many(packagesOf(items).length) },
    {
      name: 'Set-ID or capabilities',
      value: many(privileged),
      mood: privileged === 0 ? 'good' : 'warn',
    },
    {
      name: 'Missing libraries',
      value: many(missing.length),
      mood: missing.length === 0 ? 'good' : 'bad',
    },
    ...(unused === undefined
      ? []
      : [
          {
            name: 'Unused',
            value: formatSize(sizeOf(items.filter(({ isUnused }) => isUnused))),
            note: `in ${plural(unused.runs.length, 'run')}`,
          },
        ]),
  ];
}

/** Returns the sections on missing libraries, advice, warnings and observed runs. */
function noteSections({ missing, advice, warnings, hints, unused }: Contents): Section[] {
  const sections: Section[] = [];
  const add = (id: string, heading: string, items: readonly string[]) => {
    if (items.length > 0) sections.push({ id, heading, content: notes(items) });
  };
  add(
    'missing',
    'Missing',
    missing.map((library) => html(describeMissing(library))),
  );
  add('warnings', 'Warnings', warnings.map(html));
  add('advice', 'Advice', [...advice.map(adviceHtml), ...hints.map(html)]);
  if (unused === undefined) return sections;
  const runs = unused.runs.map(({ name, command }) => {
    const words = `<code>${html(command.join(' '))}</code>`;
    return name === undefined ? words : `${html(name)}: ${words}`;
  });
  const incomplete =
    unused.incomplete === 0
      ? ''
      : `<p>${plural(unused.incomplete, 'use')} could not be read: some files may be reported as unused although they are used.</p>`;
  const content = `<p>Files that none of these runs used are reported as unused. Files added later count as used.</p>${incomplete}${notes(runs)}`;
  return [...sections, { id: 'runs', heading: 'Observed runs', content }];
}

function adviceHtml({ text, add }: Advice): string {
  const remedy = add.length === 0 ? '' : `: add <code>${html(add.join(' '))}</code>`;
  return html(text) + remedy;
}

function sizeOf(items: readonly Item[]): number {
  return items.reduce((sum, { size }) => sum + size, 0);
}

interface PackageShare {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly items: readonly Item[];
  readonly size: number;
}

/** Returns the packages, the largest first. */
function packagesOf(items: readonly Item[]): PackageShare[] {
  const owned = new Map<string, Item[]>();
  for (const item of items) {
    if (item.owner === undefined || item.entry.type === 'directory') continue;
    const known = owned.get(item.owner.name);
    if (known === undefined) owned.set(item.owner.name, [item]);
    else known.push(item);
  }
  return [...owned]
    .map(([name, list]) => {
      const owner =
        list.find(({ owner: of }) => of?.license !== undefined)?.owner ?? list[0]?.owner;
      const { version = '', license = '' } = owner ?? {};
      return { name, version, license, items: list, size: sizeOf(list) };
    })
    .sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
}

function sizes({ items, unused }: Contents): string {
  const reasons = items.some(({ entry }) => entry.reasons.length > 0);
  const groups = ['package', 'directory', ...(reasons ? ['reason'] : [])];
  const choices = groups.map(
    (name, index) =>
      `<label><input type="radio" name="group" value="${name}"${index === 0 ? ' checked' : ''}> ${name}</label>`,
  );
  const legend = unused === undefined ? '' : '<p class="key">Hatched: unused</p>';
  const map = `<div class="scripted"><fieldset class="bar"><legend>Group by</legend>${choices.join('')}</fieldset><div id="map" role="group" aria-label="Sizes as areas; arrow keys move, Enter lists the files"></div>${legend}</div>`;
  return map + packageTable(items, unused !== undefined);
}

function packageTable(items: readonly Item[], hasUse: boolean): string {
  const shares = packagesOf(items);
  if (shares.length === 0) {
    return '<p class="empty">No package owns these files.</p>';
  }
  const total = totalSize(items);
  const unowned = items.filter(
    ({ entry, owner }) =>
      owner === undefined && entry.type === 'file' && entry.hardlink === undefined,
  );
  const row = (
    names: readonly [name: Cell, version: Cell, license: Cell],
    list: readonly Item[],
    size: number,
  ): Cell[] => [
    ...names,
    countCell(list.length),
    sizeCell(size),
    shareCell(size, total),
    ...(hasUse ? [sizeCell(sizeOf(list.filter(({ isUnused }) => isUnused)))] : []),
  ];
  const rows = shares.map(({ name, version, license, items: list, size }) =>
    row([textCell(name), textCell(version), licenseCell(license)], list, size),
  );
  if (unowned.length > 0) {
    const none = { html: '<em>files of no package</em>' };
    rows.push(row([none, textCell(''), textCell('')], unowned, sizeOf(unowned)));
  }
  return table({
    id: 'packages',
    caption: plural(shares.length, 'package'),
    kind: 'tall',
    columns: [
      ...['Package', 'Version', 'License', 'Files', 'Size', 'Share'],
      ...(hasUse ? ['Unused'] : []),
    ],
    rows,
  });
}

/** Returns packages and sizes by license; a package counts for each license in its expression. */
function licenseSections(items: readonly Item[]): Section[] {
  const shares = packagesOf(items);
  if (shares.length === 0) return [];
  const byLicense = new Map<string, PackageShare[]>();
  for (const share of shares) {
    for (const license of licensesIn(share.license)) {
      const known = byLicense.get(license);
      if (known === undefined) byLicense.set(license, [share]);
      else known.push(share);
    }
  }
  const rows = [...byLicense]
    .sort(([a, some], [b, more]) => more.length - some.length || (a < b ? -1 : 1))
    .map(([license, list]) => [
      license === '' ? { html: '<em>unknown</em>' } : textCell(license),
      countCell(list.length),
      sizeCell(list.reduce((sum, { size }) => sum + size, 0)),
      textCell(list.map(({ name }) => name).join(', ')),
    ]);
  const content = table({
    id: 'by-license',
    caption: plural(rows.length, 'license'),
    kind: 'tall',
    columns: ['License', 'Packages', 'Size', 'Names'],
    rows,
  });
  return [{ id: 'licenses', heading: 'Licenses', content }];
}

/**
 * Returns the licenses of an SPDX expression, with their exceptions; an empty one without an
 * expression.
 */
function licensesIn(expression: string): string[] {
  const names = expression.split(/\bAND\b|\bOR\b|[()]/).map((name) => name.trim());
  const found = [...new Set(names.filter((name) => name !== ''))];
  return found.length === 0 ? [''] : found;
}

/** Formats a license expression; a long one is collapsed after its first license. */
function licenseCell(expression: string): Cell {
  if (expression.length <= LONG_LICENSE) return textCell(expression);
  const names = licensesIn(expression);
  const rest = `and ${names.length - 1} more`;
  return {
    html: `<details><summary>${html(names[0] ?? '')} ${rest}</summary>${html(expression)}</details>`,
  };
}

const LONG_LICENSE = 60;

function graph(items: readonly Item[], numbers: ReadonlyMap<string, number>): string {
  const isLinked = items.some(({ entry }) => sourcesOf(entry, numbers).length > 0);
  if (!isLinked) {
    return '<p class="empty">No reasons: only jails, manifests and programs record them.</p>';
  }
  return [
    '<div class="scripted"><div class="bar"><label>Show <input id="node" list="paths" autocomplete="off" spellcheck="false"></label><datalist id="paths"></datalist></div>',
    '<div id="focus"></div></div>',
    '<noscript><p>The table of entries lists the reasons of each file, with links to what needs it.</p></noscript>',
  ].join('');
}

function entries({ items, unused }: Contents, numbers: ReadonlyMap<string, number>): string {
  const rows = items.map((item) => {
    const { entry, owner, isUnused } = item;
    const privileges = privilegesOf(item);
    const badge = privileges === undefined ? '' : ` <strong class=bad>${html(privileges)}</strong>`;
    const target = entry.type === 'symlink' ? `<span> → ${html(entry.target)}</span>` : '';
    return [
      { html: html(entry.path) + target + badge },
      textCell(TYPE[entry.type]),
      textCell(entry.mode),
      textCell(`${entry.uid}:${entry.gid}`),
      entry.type === 'file' ? sizeCell(entry.size) : { html: '', sort: 0 },
      textCell(owner === undefined ? '' : `${owner.name} ${owner.version}`),
      { html: reasonsHtml(entry, numbers) },
      ...(unused === undefined ? [] : [textCell(isUnused ? 'unused' : '')]),
    ];
  });
  const columns = ['Path', 'Type', 'Mode', 'Owner', 'Size', 'Package', 'Reasons'];
  return (
    filterBar('path, package or reason') +
    table({
      id: 'all',
      caption: plural(items.length, 'entry', 'entries'),
      kind: 'entries',
      columns: unused === undefined ? columns : [...columns, 'Use'],
      rows,
      anchor: 'e',
    })
  );
}

const TYPE: Readonly<Record<Entry['type'], string>> = {
  file: 'file',
  directory: 'dir',
  symlink: 'link',
  'character-device': 'char',
  'block-device': 'block',
  fifo: 'fifo',
};

/** Formats reasons: an entry's own reasons before those that refer to other entries. */
function reasonsHtml({ reasons }: Entry, numbers: ReadonlyMap<string, number>): string {
  const listed = reasons.map((reason) => ({
    text: html(reasonText(reason)),
    number: numbers.get(reasonSource(reason) ?? ''),
  }));
  listed.sort((a, b) => Number(a.number !== undefined) - Number(b.number !== undefined));
  const shown = listed
    .slice(0, REASONS_SHOWN)
    .map(({ text, number }) => (number === undefined ? text : `<a href=#e${number}>${text}</a>`));
  const more = listed.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

/** Returns the entries that require this one, each once, with the kind of the first reason. */
function sourcesOf(
  { reasons }: Entry,
  numbers: ReadonlyMap<string, number>,
): (readonly [number: number, kind: string])[] {
  const found = new Map<number, string>();
  for (const reason of reasons) {
    const number = numbers.get(reasonSource(reason) ?? '');
    if (number !== undefined && !found.has(number)) found.set(number, reason.kind);
  }
  return [...found];
}

/**
 * Returns the data that the script needs beyond the table of entries, which has their paths. For
 * each entry: its size, the numbers of its package and of the kind of its first reason, flags, and
 * pairs of an entry that requires it and the kind of reason.
 */
function dataOf(items: readonly Item[], numbers: ReadonlyMap<string, number>) {
  const packages = new Indexed();
  const kinds = new Indexed();
  const rows = items.map(({ entry, owner, size, isUnused }) => [
    size,
    packages.of(plain(owner?.name ?? '')),
    kinds.of(entry.reasons[0]?.kind ?? ''),
    (isUnused ? UNUSED : 0) | (hasOwnReason(entry) ? OWN_REASON : 0),
    ...sourcesOf(entry, numbers).flatMap(([number, kind]) => [number, kinds.of(kind)]),
  ]);
  return { packages: packages.names, kinds: kinds.names, rows };
}

/** Flags of an entry, as the script defines them too. */
const UNUSED = 1;
const OWN_REASON = 2;

/** Returns whether an entry has a reason of its own, without any other entry. */
function hasOwnReason({ reasons }: Entry): boolean {
  return reasons.some((reason) => reasonSource(reason) === undefined);
}

/** Names and their numbers. */
class Indexed {
  readonly names: string[] = [];
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}

/** Returns text that the script inserts as text: like `html`, without character references. */
function plain(text: string): string {
  return html(text).replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
