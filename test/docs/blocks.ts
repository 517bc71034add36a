/** A command of a document, with what the document says that it prints. */
export interface Step {
  readonly line: number;
  readonly command: string;
  /** Missing where it is not shown. */
  readonly output?: string;
}

/** A block of commands in a document. */
export interface Block {
  /** The line of its first command. */
  readonly line: number;
  /** Typed at a terminal, prompts and all, rather than run with its output in a pipe. */
  readonly terminal: boolean;
  /** The last command is to fail. */
  readonly fails: boolean;
  /** Other programs than those of jailbuild that it uses: `needs=sshd,rsync`. */
  readonly needs: readonly string[];
  readonly steps: readonly Step[];
  readonly text: string;
  /** Where the text is written to, rather than run. */
  readonly file?: string;
}

/** `$ ` of the host's shell, or the prompt of the shell in the jail, as `calculus [/] `. */
export const PROMPT = /^(?:\$|\w+ \[[^\]]*\]) /;

/**
 * The blocks of a document that are run: `console` has prompts and what is printed, `sh run` commands
 * alone. Words behind the language say how: `terminal`, `fails`, `needs=...`. A line that ends in a
 * backslash goes on with the next. A block of any language with `file=PATH` is the content of that file.
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

/** Prompts with commands, and what these print. */
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

/** Lines with those behind a backslash, and the number of the first. */
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
 * Whether what was printed is what a document says. In the document `...` on a line of its own stands for
 * any lines, and `…` for anything on a line. Blanks, long numbers, times, versions and digests differ from
 * machine to machine: they are not compared.
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
