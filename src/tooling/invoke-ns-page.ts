import { bold, italic, roffSentence, roffText, tagged, titleLine } from './roff.js';

/** A row of the launcher's option table: an option, or a heading. */
export type OptionRow =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'option'; readonly words: string; readonly text: string };

/**
 * Returns the manual page invoke_ns(1).
 *
 * @param source the page's own text, in roff, with a line `@OPTIONS@`
 */
export function invokeNsPage(
  source: string,
  rows: readonly OptionRow[],
  date: string,
  version: string,
): string {
  const options = rows.map((row) =>
    row.kind === 'heading'
      ? `.SS ${roffText(row.text)}\n`
      : tagged(optionWords(row.words), `${roffSentence(capital(row.text))}.`),
  );
  return titleLine('invoke_ns', date, version) + source.replace('@OPTIONS@\n', options.join(''));
}

/**
 * Returns the launcher's options from the table in its source, since the program may be for another
 * machine.
 */
export function optionsInSource(table: string): OptionRow[] {
  const code = table.replace(/\/\*[\s\S]*?\*\//g, '');
  return [...code.matchAll(/^(HEADING|OPTION)\(([\s\S]*?)\)$/gm)].map(([, kind, row = '']) => {
    const fields = [...row.matchAll(/'(.)'|"((?:[^"\\]|\\.)*)"|\bNULL\b|\b0\b/g)].map((field) =>
      (field[1] ?? field[2] ?? '').replace(/\\(.)/g, '$1'),
    );
    const [letter, name, argument, , text = ''] = fields;
    if (kind === 'HEADING') return { kind: 'heading', text: letter ?? '' };
    const spellings = [letter && `-${letter}`, name && `--${name}`].filter(Boolean).join(', ');
    return { kind: 'option', words: `${spellings} ${argument}`.trim(), text };
  });
}

function optionWords(words: string): string {
  return words
    .split(/(\s+|,\s*)/)
    .map((word) => {
      if (word.startsWith('-')) return bold(word);
      return /^[\s,]*$/.test(word) ? word : italic(word);
    })
    .join('');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
