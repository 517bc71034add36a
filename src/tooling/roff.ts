import { wrap } from '../cli/help.js';

/** Of a line, with room for an escape at its beginning. */
const WIDTH = 78;

/** Plain text as roff: nothing in it is a request or an escape. */
export function roffText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll('`', '\\(ga')
    .replaceAll('…', '...');
}

/** Words to type, such as options, whose dashes and quotes must stay what they are. */
export function roffCode(text: string): string {
  return roffText(text).replaceAll('-', '\\-').replaceAll("'", '\\(aq').replaceAll('"', '\\(dq');
}

export function bold(text: string): string {
  return `\\fB${roffCode(text)}\\fR`;
}

export function italic(text: string): string {
  return `\\fI${roffText(text)}\\fR`;
}

/** A sentence of Markdown: code is bold, as are options without marks; links are their text. */
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

/** A usage in yargs' notation: `<root> [program..]`, with what is to be replaced in italics. */
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

/** Text in lines of at most 80 bytes, none of which begins as a request would. */
export function roffLines(text: string): string {
  return wrap(text, WIDTH)
    .map((line) => line.replace(/^[.']/, '\\&$&'))
    .join('\n');
}

/** A tagged paragraph. */
export function tagged(tag: string, text: string): string {
  return `.TP\n${tag}\n${roffLines(text)}\n`;
}

/** The head line of a page of section 1. */
export function titleLine(name: string, date: string, version: string): string {
  return `.TH ${name.toUpperCase()} 1 ${date} "jailbuild ${version}" "User Commands"\n`;
}
