import { bold, italic, roffSentence, roffText, tagged, titleLine } from './roff.js';

/** One line or more of the launcher's help: an option, or a heading above some. */
type HelpItem =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'option'; readonly words: string; readonly text: string };

/** The column in which the help's second column begins. */
const COLUMN = 17;

/**
 * invoke_ns(1).
 *
 * @param source the page's own words, in roff, with a line `@OPTIONS@`
 * @param help what `invoke_ns --help` prints
 */
export function invokeNsPage(source: string, help: string, date: string, version: string): string {
  const options = helpItems(help).map((item) =>
    item.kind === 'heading'
      ? `.SS ${roffText(item.text)}\n`
      : tagged(optionWords(item.words), `${roffSentence(capital(item.text))}.`),
  );
  return titleLine('invoke_ns', date, version) + source.replace('@OPTIONS@\n', options.join(''));
}

/** The text of the launcher's help, from its source: the program may be for another machine. */
export function helpInSource(source: string): string {
  const text = /\busage\[\] =\s*((?:"(?:[^"\\]|\\.)*"\s*)+);/.exec(source)?.[1];
  if (text === undefined)
    throw new Error('src/native/launcher/options.c: the usage is not where it was');
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)]
    .map(([, piece = '']) => piece.replaceAll('\\n', '\n').replace(/\\(.)/g, '$1'))
    .join('');
}

function helpItems(help: string): HelpItem[] {
  const items: HelpItem[] = [];
  for (const line of help.split('\n')) {
    const last = items.at(-1);
    if (/^\s+-/.test(line) && !line.startsWith(' '.repeat(COLUMN))) {
      const { 1: words = '', 2: text = '' } = /^\s+(\S.*?)(?:\s{2,}(\S.*)|$)/.exec(line) ?? [];
      items.push(shortGap(words, text, line));
    } else if (line.startsWith(' '.repeat(COLUMN)) && last?.kind === 'option') {
      const text = `${last.text} ${line.trim()}`.trim();
      items[items.length - 1] = { ...last, text };
    } else if (/^[A-Z][^.:]*$/.test(line) && line.length < 40) {
      items.push({ kind: 'heading', text: line });
    }
  }
  return items;
}

/** Words that reach up to the second column have one blank behind them. */
function shortGap(words: string, text: string, line: string): HelpItem {
  if (text === '' && line.length > COLUMN && line.charAt(COLUMN - 1) === ' ') {
    return { kind: 'option', words: line.slice(0, COLUMN).trim(), text: line.slice(COLUMN).trim() };
  }
  return { kind: 'option', words, text };
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
