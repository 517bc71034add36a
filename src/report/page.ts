import { readFileSync } from 'node:fs';
import { templatePath } from '../profile/templates.js';
import { formatSize } from '../text/format.js';
import { html } from './html.js';

/** A section of a page, with a heading and an anchor. */
export interface Section {
  readonly id: string;
  readonly heading: string;
  /** HTML. */
  readonly content: string;
}

/** Formats a page: its title and sections, with the script and style of all pages. */
export async function page(
  title: string,
  figures: readonly Figure[],
  sections: readonly Section[],
  data?: string,
): Promise<string> {
  const { createHash } = await import('node:crypto');
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const style = readFileSync(templatePath('report/report.css'), 'utf8');
  const script = readFileSync(templatePath('report/report.js'), 'utf8');
  const policy = `default-src 'none'; style-src ${hash(style)}; script-src ${hash(START)} ${hash(script)}; base-uri 'none'; form-action 'none'`;
  const links = sections.map(({ id, heading }) => `<a href="#${id}">${html(heading)}</a>`);
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
    `<script>${START}</script>`,
    '</head>',
    '<body>',
    `<header><h1>${html(title)}</h1>`,
    `<dl class="figures">${figures.map(figureHtml).join('')}</dl>`,
    `<nav aria-label="Sections">${links.join('')}</nav></header>`,
    '<main>',
    ...sections.map(sectionHtml),
    '</main>',
    '<footer>Written by jailbuild</footer>',
    ...(data === undefined ? [] : [`<script type="application/json" id="data">${data}</script>`]),
    `<script>${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/**
 * Runs before the content, so that elements for only one of the cases, with or without JavaScript,
 * never flash.
 */
const START = "document.documentElement.className = 'js'";

function sectionHtml({ id, heading, content }: Section): string {
  return `<section id="${id}" aria-labelledby="${id}-heading"><h2 id="${id}-heading">${html(heading)}</h2>${content}</section>`;
}

/** A figure at the top of a page. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  /** Further information, in small letters. */
  readonly note?: string;
  /** `bad` for problems, `warn` for what needs attention. */
  readonly mood?: 'bad' | 'warn' | 'good';
}

function figureHtml({ name, value, note, mood }: Figure): string {
  const small = note === undefined ? '' : ` <small>${html(note)}</small>`;
  const state = mood === undefined ? '' : ` class="${mood}"`;
  return `<div${state}><dt>${html(name)}</dt><dd>${html(value)}${small}</dd></div>`;
}

/** Formats a list of sentences; all but the first few are collapsed. */
export function notes(items: readonly string[]): string {
  const list = (some: readonly string[]) =>
    `<ul class="notes">${some.map((item) => `<li>${item}</li>`).join('')}</ul>`;
  if (items.length <= NOTES_OPEN) return list(items);
  const rest = items.slice(NOTES_OPEN);
  return `${list(items.slice(0, NOTES_OPEN))}<details><summary>${rest.length} more</summary>${list(rest)}</details>`;
}

const NOTES_OPEN = 6;

/** A cell of a table: safe HTML, and the number to sort it by. */
export interface Cell {
  readonly html: string;
  readonly sort?: number;
}

/** A table with a caption; the page's script can sort its columns. */
export interface Table {
  readonly id: string;
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /**
   * `tall` for a long table that scrolls inside the page; `entries` and `changes` set column
   * widths.
   */
  readonly kind?: 'tall' | 'entries' | 'changes';
  /** The prefix of the ids of rows, for rows that are linked to. */
  readonly anchor?: string;
}

/**
 * Formats a table. Optional end tags are omitted: in thousands of cells they are a tenth of the
 * page.
 */
export function table({ id, caption, columns, rows, kind, anchor }: Table): string {
  const head = columns.map((name) => `<th scope="col">${html(name)}`).join('');
  const body = rows.map((cells, number) => {
    const list = cells.map(({ html: content, sort }, index) => {
      const order = sort === undefined ? '' : ` data-sort=${sort}`;
      return index === 0 ? `<th scope=row>${content}` : `<td${order}>${content}`;
    });
    return `<tr${anchor === undefined ? '' : ` id=${anchor}${number}`}>${list.join('')}`;
  });
  const box = kind === 'tall' && rows.length > TALL ? 'scroll tall' : 'scroll';
  const name = kind === undefined || kind === 'tall' ? '' : ` class="${kind}"`;
  return `<div class="${box}" tabindex="0" role="region" aria-label="${html(caption)}"><table id="${id}"${name}><caption>${html(caption)}</caption><thead><tr>${head}</thead><tbody>${body.join('\n')}</tbody></table></div>`;
}

/** The maximum number of rows of a `tall` table that does not scroll. */
const TALL = 14;

/** Formats the field that filters the table of all entries. */
export function filterBar(placeholder: string): string {
  return `<div class="bar scripted"><label>Filter <input id="filter" type="search" placeholder="${html(placeholder)}"></label><span id="marks"></span><span id="count" role="status"></span></div>`;
}

/** Formats a size in bytes as a cell. */
export function sizeCell(bytes: number): Cell {
  return { html: formatSize(bytes), sort: bytes };
}

/** Formats a number as a cell, which is empty for 0. */
export function countCell(count: number): Cell {
  return { html: count === 0 ? '' : count.toLocaleString('en'), sort: count };
}

/** Formats a share as a cell with a bar. */
export function shareCell(part: number, whole: number): Cell {
  const share = whole === 0 ? 0 : part / whole;
  return {
    html: `<meter aria-hidden="true" value="${share.toFixed(3)}"></meter> ${(share * 100).toFixed(1).padStart(4, '\u2007')} %`,
    sort: part,
  };
}

/** Formats plain text as a cell. */
export function textCell(text: string): Cell {
  return { html: html(text) };
}
