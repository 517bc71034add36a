/** A command in a document, with the output that the document shows. */
export interface Step {
  readonly line: number;
  readonly command: string;
  /** Missing if the document shows no output. */
  readonly output?: string;
}

/** A block of commands in a document. */
export interface Block {
  /** Line number of its first command. */
  readonly line: number;
  /** Typed at a terminal, prompts included, instead of run with a pipe for the output. */
  readonly terminal: boolean;
  /** The last command must fail. */
  readonly fails: boolean;
  /** Programs besides those of jailbuild that the block uses: `needs=sshd,rsync`. */
  readonly needs: readonly string[];
  readonly steps: readonly Step[];
  readonly text: string;
  /** The file to write the text to, instead of running it. */
  readonly file?: string;
}

/** `$ ` of the host's shell, or the prompt of a shell in the jail, such as `calculus [/] `. */
export const PROMPT = /^(?:\$|\w+ \[[^\]]*\]) /;

/**
 * Returns the blocks of a document that are run: `console` has prompts and output, `sh run` only
 * commands. Words after the language say how: `terminal`, `fails`, `needs=...`. A line that ends in
 * a backslash continues on the next. A block of any language with `file=PATH` is the content of
 * that file.
 */
export function runBlocks(markdown: string): Block[] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, index) => {
    const { 1: language, 2: words } = /^```(console|sh run|\w+(?= file=)) *(.*)$/.exec(line) ?? [];
    if (language === undefined || words === undefined) return [];
    const how = words.split(' ');
    const end = lines.indexOf('```', index);
    const needed = how.find((word) => word.startsWith('needs='))?.slice('needs='.length);
    const content = lines.slice(index + 1, end);
    const file = how.find((word) => word.startsWith('file='))?.slice('file='.length);
    return [
      {
        line: index + 2,
        terminal: how.includes('terminal'),
        fails: how.includes('fails'),
        needs: needed?.split(',') ?? [],
        steps:
          file !== undefined
            ? []
            : language === 'console'
              ? typed(content, index + 2)
              : commands(content, index + 2),
        text: content.join('\n'),
        ...(file === undefined ? {} : { file }),
      },
    ];
  });
}

/** Parses prompts with commands and their output. */
function typed(lines: readonly string[], first: number): Step[] {
  const steps: { line: number; command: string; output: string }[] = [];
  for (const [line, text] of joined(lines)) {
    const last = steps.at(-1);
    if (PROMPT.test(text)) {
      steps.push({ line: first + line, command: text.replace(PROMPT, ''), output: '' });
    } else if (last === undefined) {
      throw new Error(`line ${first + line}: output without a command`);
    } else {
      last.output += `${text}\n`;
    }
  }
  return steps;
}

function commands(lines: readonly string[], first: number): Step[] {
  return joined(lines).map(([line, command]) => ({ line: first + line, command }));
}

/** Joins lines continued by a backslash, with the number of the first. */
function joined(lines: readonly string[]): [line: number, text: string][] {
  const found: [number, string][] = [];
  lines.forEach((text, index) => {
    const last = found.at(-1);
    if (last?.[1].endsWith('\\')) last[1] += `\n${text}`;
    else found.push([index, text]);
  });
  return found;
}

/**
 * Returns whether the output matches the document. In the document, `...` on its own line stands
 * for any lines, and `…` for anything within a line. Spaces, long numbers, times, versions and
 * digests differ between machines and are not compared.
 */
export function isPrinted(expected: string, printed: string): boolean {
  const pattern = expected
    .trimEnd()
    .split('\n')
    .map((line) => {
      if (line.trim() === '...') return '(?:.*\\n)*?';
      const parts = steady(line).split('…').map(escaped);
      return `${parts.join('.*')}\\n`;
    })
    .join('');
  const text = printed.trimEnd().split('\n').map(steady).join('\n');
  return new RegExp(`^${pattern}$`).test(`${text}\n`);
}

function steady(line: string): string {
  return line
    .trimEnd()
    .replace(/\b[0-9a-f]{12,64}\b/g, 'DIGEST')
    .replace(/\b\d+(?::\d\d)+\b/g, 'TIME')
    .replace(/\b\d+(?:\.\d+)+\b/g, 'VERSION')
    .replace(/\b\d{4,}\b/g, 'NUMBER')
    .replace(/\s+/g, ' ');
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
