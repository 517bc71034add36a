import { baseName } from '../../text/base-name.js';
import type { ShellNode } from './syntax.js';

/** Placeholder for a part known only at run time. */
export const COMPUTED = '\ue000';
/** Placeholder for a part that the caller provides: arguments, environment variables. */
export const GIVEN = '\ue001';

/** The texts that a word may expand to; placeholders stand for unknown parts. */
export type Texts = readonly string[];

/** A variable that is never assigned comes from the environment, where it may be unset. */
const ENVIRONMENT: Texts = ['', GIVEN];
/** The maximum number of alternatives for one word. */
const MAX_TEXTS = 32;
/** The maximum depth of variables that refer to others. */
const MAX_DEPTH = 16;
/** Longer texts, in characters, cannot be words of a command. */
const MAX_LENGTH = 4096;

/** Returns whether a text has no part that is unknown. */
export function isKnown(text: string): boolean {
  return !text.includes(COMPUTED) && !text.includes(GIVEN);
}

/** A key that is not a variable's name. */
const ARGUMENTS = '@';

interface Assigned {
  readonly node: ShellNode | undefined;
  readonly own: Texts;
  readonly isSplit: boolean;
}

/** Returns whether the shell splits the expansion of a node into words (POSIX, XCU 2.6.5). */
export function isUnquoted({ type, text }: ShellNode): boolean {
  return (
    /^(simple_expansion|expansion|command_substitution|concatenation)$/.test(type) ||
    /^"\$\{\w+\[@\]\}"$/.test(text)
  );
}

/** Splits a text into words. */
export function split(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** The assignments of a script and of the files that it sources. */
export class Variables {
  /** Functions and aliases that they define. */
  readonly functions = new Set<string>();
  readonly #assigned = new Map<string, Assigned[]>();
  /**
   * Texts already determined. While a variable is being determined, those it may have had before.
   */
  readonly #found = new Map<string, Texts>();
  /** Arguments that the script sets by `set --`. */
  readonly #arguments: ShellNode[] = [];

  /**
   * @param node the value; undefined if it is known only at run time
   * @param own paths by which the assigning script may be started
   */
  assign(name: string, node: ShellNode | undefined, own: Texts): void {
    this.#add(name, { node, own, isSplit: false });
  }

  /** Like {@link assign}, for a word that is split, as in `for NAME in $WORDS`. */
  assignEach(name: string, node: ShellNode, own: Texts): void {
    this.#add(name, { node, own, isSplit: isUnquoted(node) });
  }

  #add(name: string, value: Assigned): void {
    const known = this.#assigned.get(name);
    this.#found.clear();
    if (known === undefined) this.#assigned.set(name, [value]);
    else known.push(value);
  }

  setArguments(first: ShellNode): void {
    this.#found.clear();
    this.#arguments.push(first);
  }

  /** Returns the texts that a variable may have; undefined if it is never assigned. */
  textsOf(name: string, depth: number): Texts | undefined {
    const assigned = this.#assigned.get(name);
    if (assigned === undefined) return undefined;
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    if (depth > MAX_DEPTH) return [COMPUTED];
    this.#found.set(name, ENVIRONMENT);
    const texts = unique(
      assigned.flatMap(({ node, own, isSplit }) => {
        const texts = node === undefined ? [COMPUTED] : textsOf(node, this, own, depth + 1);
        return isSplit ? texts.flatMap(split) : texts;
      }),
    );
    this.#found.set(name, texts);
    return texts;
  }

  /** Returns the texts that the script's first argument may have. */
  firstArguments(own: Texts, depth: number): Texts {
    const known = this.#found.get(ARGUMENTS);
    if (known !== undefined) return known;
    this.#found.set(ARGUMENTS, []);
    const set = this.#arguments.flatMap((node) => textsOf(node, this, own, depth + 1));
    const texts = unique([...set, GIVEN]);
    this.#found.set(ARGUMENTS, texts);
    return texts;
  }
}

/**
 * Returns the texts that a word may expand to, following the expansions that need no run
 * (POSIX.1-2024, XCU 2.6).
 *
 * @param own paths by which the script may be started: its `$0`
 */
export function textsOf(node: ShellNode, variables: Variables, own: Texts, depth = 0): Texts {
  if (depth > MAX_DEPTH) return [COMPUTED];
  const inner = (child: ShellNode) => textsOf(child, variables, own, depth + 1);
  switch (node.type) {
    case 'command_name':
      return product(node, inner, (text) => text);
    case 'word':
    case 'number':
    case 'variable_name':
      return [wordText(node.text)];
    case 'raw_string':
      return [node.text.slice(1, -1)];
    case 'ansi_c_string':
      return [/\\/.test(node.text) ? COMPUTED : node.text.slice(2, -1)];
    case 'string':
      return product(node, inner, stringText);
    case 'translated_string':
    case 'concatenation':
      return product(node, inner, (text) => (text === '$' ? '' : wordText(text)));
    case 'array':
      return [
        node.children
          .filter(isWord)
          .map((child) => inner(child)[0] ?? '')
          .join(' '),
      ];
    case 'simple_expansion':
      return variableTexts(node.text.slice(1), variables, own, depth);
    case 'expansion':
      return expansionTexts(node, variables, own, depth);
    case 'command_substitution':
      return substitutionTexts(node, variables, own, depth);
    default:
      return [COMPUTED];
  }
}

function isWord({ type }: ShellNode): boolean {
  return !/^[()]$/.test(type);
}

/** Matches a pattern for files of one directory, such as `/etc/profile.d/*.sh`. */
export const FILE_PATTERN = /^(\/[\w./+-]*)\/([\w.+-]*)\*([\w.+-]*)$/;

/** Removes quoting. Other file patterns are known only at run time. */
function wordText(text: string): string {
  const plain = text.replace(/\\\n/g, '');
  if (FILE_PATTERN.test(plain)) return plain;
  if (/(^|[^\\])[*?[]/.test(plain) && plain !== '[' && plain !== '[[') return COMPUTED;
  if (plain.startsWith('~')) return plain.replace(/^~[^/]*/, GIVEN);
  return plain.replace(/\\(.)/gs, '$1');
}

/** Removes quoting inside double quotes, where a backslash quotes only these (POSIX, XCU 2.2.3). */
function stringText(text: string): string {
  return text.replace(/\\\n/g, '').replace(/\\([$`"\\])/g, '$1');
}

/** Combines every alternative of the children; text between them is kept. */
function product(
  node: ShellNode,
  inner: (child: ShellNode) => Texts,
  plain: (text: string) => string,
): Texts {
  const isString = node.type === 'string';
  let texts: Texts = [''];
  let at = node.start;
  const text = node.text;
  const append = (parts: Texts): void => {
    texts = unique(texts.flatMap((before) => parts.map((part) => before + part))).map((whole) =>
      whole.length > MAX_LENGTH ? COMPUTED : whole,
    );
  };
  for (const child of node.children) {
    if (child.start > at) append([plain(text.slice(at - node.start, child.start - node.start))]);
    at = Math.max(at, child.end);
    if (isString && child.type === '"') continue;
    if (isString && child.type === 'string_content') append([plain(child.text)]);
    else if (child.type === '$' || (isString && child.children.length === 0))
      append([plain(child.text)]);
    else append(inner(child));
  }
  if (node.end > at) append([plain(text.slice(at - node.start))]);
  return texts;
}

function variableTexts(name: string, variables: Variables, own: Texts, depth: number): Texts {
  if (name === '0' || name === 'BASH_SOURCE') return own;
  if (/^[@*1]$/.test(name)) return variables.firstArguments(own, depth);
  if (/^\d+$/.test(name)) return [GIVEN];
  if (!/^\w+$/.test(name)) return [COMPUTED];
  return variables.textsOf(name, depth) ?? ENVIRONMENT;
}

const EXPANSION = /^\$\{([A-Za-z_]\w*|\d+|[@*])(\[[^\]]*\])?(?:(:?[-=+?])|(%%?|##?)(.*))?/s;

function expansionTexts(node: ShellNode, variables: Variables, own: Texts, depth: number): Texts {
  const [, name = '', , operator, removal, rest = ''] = EXPANSION.exec(node.text) ?? [];
  if (name === '') return [COMPUTED];
  const value = variableTexts(name, variables, own, depth);
  if (removal !== undefined) {
    return unique(value.map((text) => without(text, removal, rest.replace(/\}$/, ''))));
  }
  if (operator === undefined)
    return /^\$\{\w+(\[[^\]]*\])?\}$|^\$\{[@*]\}$/.test(node.text) ? value : [COMPUTED];
  if (operator.endsWith('?')) return value;
  const from = node.children.findIndex(({ text }) => text === operator);
  const words = node.children.slice(from + 1).filter(({ type }) => type !== '}');
  const other =
    words.length === 0
      ? ['']
      : words.reduce<Texts>(
          (texts, word) =>
            unique(
              texts.flatMap((before) =>
                textsOf(word, variables, own, depth + 1).map((part) => before + part),
              ),
            ),
          [''],
        );
  if (operator.endsWith('+')) return unique([...other, '']);
  return unique([...other, ...value]);
}

/**
 * Removes the part that a pattern matches at the beginning (`#`) or end (`%`); the longest if
 * doubled.
 */
function without(text: string, removal: string, pattern: string): string {
  if (!/^[\w./*-]+$/.test(pattern)) return COMPUTED;
  const parts = pattern.split('*').map((part) => part.replace(/\./g, '\\.'));
  const isLong = removal.length === 2;
  if (removal.startsWith('#')) {
    return text.replace(new RegExp(`^${parts.join(isLong ? '.*' : '.*?')}`, 's'), '');
  }
  const source = parts.join('.*');
  const starts = [...text].map((_, at) => at);
  const from = (isLong ? starts : starts.reverse()).find((at) =>
    new RegExp(`^${source}$`, 's').test(text.slice(at)),
  );
  return from === undefined ? text : text.slice(0, from);
}

/** Returns the output of commands that only look for a program or split a path. */
function substitutionTexts(
  node: ShellNode,
  variables: Variables,
  own: Texts,
  depth: number,
): Texts {
  const commands = node.children.filter(({ type }) => !/^(\$\(|\)|`|;|\n|comment)$/.test(type));
  const only = commands.at(-1);
  if (only === undefined) return [''];
  const words = (command: ShellNode): Texts[] =>
    command.children
      .filter(({ field }) => field === 'name' || field === 'argument')
      .map((child) => textsOf(child, variables, own, depth + 1));
  if (!commands.slice(0, -1).every((command) => isSilent(words(command)))) return [COMPUTED];
  const parts = only.type === 'list' ? only.children : [only];
  const prints = parts.filter(({ type }) => type !== '||' && type !== '&&').map(unredirected);
  const [first] = prints;
  if (first === undefined || prints.some(({ type }) => type !== 'command')) return [COMPUTED];
  const [[cd] = [], ...directory] = words(first);
  if (cd === 'cd') {
    // $(cd DIRECTORY && pwd)
    const isPwd = prints.length === 2 && prints[1]?.text.startsWith('pwd');
    return isPwd ? (directory.at(-1) ?? [COMPUTED]) : [COMPUTED];
  }
  const texts = unique(prints.flatMap((command) => output(words(command), variables)));
  return prints.length === 1 ? texts : texts.filter((text) => text !== '');
}

/** Returns whether a command prints nothing. */
function isSilent([[name = ''] = []]: readonly Texts[]): boolean {
  return /^(unset|cd|set|:|true|shift)$/.test(name);
}

function unredirected(node: ShellNode): ShellNode {
  return node.type === 'redirected_statement' ? (node.children[0] ?? node) : node;
}

function output([[name = ''] = [], ...args]: readonly Texts[], { functions }: Variables): Texts {
  const last = args.at(-1) ?? [COMPUTED];
  switch (name) {
    case 'command':
    case 'type':
    case 'which':
    case 'whence':
    case 'readlink':
    case 'realpath':
      return last;
    case 'dirname':
      return last.map((text) => text.replace(/\/[^/]*$/, '') || '/');
    case 'basename': {
      const [paths = [COMPUTED], [suffix = ''] = []] = args;
      if (paths.some((text) => text.startsWith('-'))) return [COMPUTED];
      const names = paths.map((text) => baseName(text));
      return names.map((text) =>
        text.endsWith(suffix) ? text.slice(0, -suffix.length || undefined) : text,
      );
    }
    case 'echo':
      return args.length === 1 ? last : [COMPUTED];
    case 'true':
    case ':':
      return [''];
    default:
      // A search on PATH by the script itself: CAT=`searchpath cat "$PATH"`
      return functions.has(name) ? (args[0] ?? []).map(asName) : [COMPUTED];
  }
}

function asName(text: string): string {
  return /^[\w.+-]+$/.test(text) ? text : COMPUTED;
}

function unique(texts: Texts): Texts {
  return [...new Set(texts)].slice(0, MAX_TEXTS);
}
