import { wrap } from '../cli/help.js';

/** The width of a line in bytes, with room for an escape at its beginning. */
const WIDTH = 78;

/** Escapes plain text for roff, so that it contains no requests or escapes. */
export function roffText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll('`', '\\(ga')
    .replaceAll('…', '...');
}

/** Escapes text to type, such as options, whose dashes and quotes must be kept. */
export function roffCode(text: string): string {
  return roffText(text).replaceAll('-', '\\-').replaceAll("'", '\\(aq').replaceAll('"', '\\(dq');
}

export function bold(text: string): string {
  return `\\fB${roffCode(text)}\\fR`;
}

export function italic(text: string): string {
  return `\\fI${roffText(text)}\\fR`;
}

/** Converts a Markdown sentence: code and options become bold; links become their text. */
export function roffSentence(markdown: string): string {
  return markdown
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .split(/(`[^`]+`)/)
    .map((part, index) => {
      if (index % 2 === 1) return bold(part.slice(1, -1));
      return roffText(part).replace(/(^|[\s(])(--?[a-z][a-z-]*)/g, (_, before, option) => {
        return `${before}\\fB${option.replaceAll('-', '\\-')}\\fR`;
      });
    })
    .join('');
}

/** Converts a usage in yargs' notation: `<root> [program..]`, with placeholders in italics. */
export function roffUsage(usage: string): string {
  return usage
    .split(/(<[^>]*>|\[--|\[[^\]]*\])/)
    .map((part) => {
      if (part === '[--') return '[\\-\\-';
      const inner = /^[<[](.*)[>\]]$/.exec(part)?.[1];
      if (inner === undefined)
        return roffText(part).replaceAll('..', '...').replaceAll('--', '\\-\\-');
      const word = `${italic(inner.replace(/\.\.+$/, ''))}${inner.endsWith('..') ? '...' : ''}`;
      return part.startsWith('[') ? `[${word}]` : word;
    })
    .join('');
}

/** Wraps text in lines of at most 80 bytes, none of which starts like a request. */
export function roffLines(text: string): string {
  return wrap(text, WIDTH)
    .map((line) => line.replace(/^[.']/, '\\&$&'))
    .join('\n');
}

/** Formats a tagged paragraph. */
export function tagged(tag: string, text: string): string {
  return `.TP\n${tag}\n${roffLines(text)}\n`;
}

/** Formats the title line of a page of section 1. */
export function titleLine(name: string, date: string, version: string): string {
  return `.TH ${name.toUpperCase()} 1 ${date} "jailbuild ${version}" "User Commands"\n`;
}
