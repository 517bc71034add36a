import type { ShellNode, ShellSyntax } from './syntax.js';
import {
  COMPUTED,
  GIVEN,
  isKnown,
  isUnquoted,
  split,
  type Texts,
  textsOf,
  Variables,
} from './values.js';
import { isBuiltin, shellArgument, wrappedCommands } from './words.js';

/** A name or path in a script, and its line. */
export interface ScriptWord {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/** A command or sourced file that is known only at run time. */
export interface ComputedWord extends ScriptWord {
  /** The beginning of its name or path, as far as the script determines it. */
  readonly start: string;
}

/** The programs that a shell script runs, as far as its text determines them. */
export interface ScriptFacts {
  /** Commands that it runs, by name or path, each once, with its first line. */
  readonly commands: readonly ScriptWord[];
  /** Files that it sources or passes to a shell. */
  readonly sources: readonly ScriptWord[];
  /** Commands and sourced files that are known only at run time, as written in the script. */
  readonly computed: readonly ComputedWord[];
  /** Absolute directories that it adds to PATH. */
  readonly searchPath: readonly string[];
  /** True if it is not shell syntax and nothing could be read. */
  readonly isRefused: boolean;
}

/** The empty word. */
const EMPTY: ShellNode = {
  ...{ type: 'word', field: undefined, text: '', start: 0, end: 0, line: 0, children: [] },
};

const FUNCTION = /^[ \t]*(?:function[ \t]+)?([\w.:-]+)[ \t]*\([ \t]*\)/gm;

/**
 * A script and the files that it sources, read together because they share variables and functions.
 */
export class ScriptUnit {
  readonly #syntax: ShellSyntax;
  readonly #shell: string;
  readonly #variables = new Variables();
  /** Functions that run their own arguments. */
  readonly #runners = new Set<string>();
  readonly #files: { readonly root: ShellNode | undefined; readonly own: Texts }[] = [];

  /** @param shell the name of the shell that runs it */
  constructor(syntax: ShellSyntax, shell: string) {
    this.#syntax = syntax;
    this.#shell = shell;
  }

  /**
   * Adds a script, or a file sourced by those already added.
   *
   * @param own paths by which it may be started or sourced
   * @returns its number
   */
  add(text: string, own: Texts): number {
    const root = this.#syntax.parse(text);
    const file = { root: root === undefined ? undefined : live(root), own };
    this.#files.push(file);
    if (file.root !== undefined) this.#declare(file.root, own);
    // Finds functions also where the syntax cannot be parsed.
    for (const [, name = ''] of text.matchAll(FUNCTION)) this.#variables.functions.add(name);
    return this.#files.length - 1;
  }

  /** Returns the facts of a file; files added later may complete them. */
  factsOf(number: number): ScriptFacts {
    const { root, own } = this.#files[number] ?? {};
    if (root === undefined || own === undefined) {
      return { commands: [], sources: [], computed: [], searchPath: [], isRefused: true };
    }
    const reader = new CommandReader(this.#syntax, this.#shell, {
      variables: this.#variables,
      runners: this.#runners,
      own,
    });
    reader.read(root, undefined);
    const searchPath = (this.#variables.textsOf('PATH', 0) ?? [])
      .flatMap((text) => text.split(':'))
      .filter((directory) => directory.startsWith('/') && isKnown(directory));
    const facts = reader.facts();
    const found = facts.commands.length + facts.sources.length + facts.computed.length;
    const isRefused = found === 0 && hasError(root);
    return { ...facts, searchPath: [...new Set(searchPath)], isRefused };
  }

  #declare(root: ShellNode, own: Texts): void {
    for (const node of nodesOf(root)) {
      switch (node.type) {
        case 'function_definition':
          this.#declareFunction(node);
          break;
        case 'variable_assignment':
          this.#assign(node, own);
          break;
        case 'expansion':
          this.#assignDefault(node, own);
          break;
        case 'for_statement':
          this.#assignEach(node, own);
          break;
        case 'command':
          this.#declareByCommand(node, own);
          break;
        default:
      }
    }
  }

  #declareFunction(node: ShellNode): void {
    const name = node.children.find(({ field }) => field === 'name')?.text;
    if (name === undefined) return;
    this.#variables.functions.add(name);
    for (const inner of nodesOf(node)) {
      if (inner.type !== 'command') continue;
      const [first, second] = wordNodes(inner);
      const run = /^(eval|exec)$/.test(first?.text ?? '') ? second : first;
      if (run !== undefined && /^"?\$[@1*]"?$/.test(run.text)) this.#runners.add(name);
    }
  }

  #assign(node: ShellNode, own: Texts): void {
    const name = node.children.find(({ field }) => field === 'name');
    const value = node.children.find(({ field }) => field === 'value');
    // Appending does not change the beginning.
    if (name === undefined || node.children.some(({ type }) => type === '+=')) return;
    if (name.type === 'variable_name') {
      this.#variables.assign(name.text, value ?? EMPTY, own);
    } else if (name.type === 'subscript') {
      const array = name.children.find(({ type }) => type === 'variable_name')?.text;
      if (array !== undefined) this.#variables.assign(array, value, own);
    }
  }

  /** `: ${NAME=WORD}` */
  #assignDefault(node: ShellNode, own: Texts): void {
    const at = node.children.findIndex(({ type }) => type === '=' || type === ':=');
    const name = node.children.find(({ type }) => type === 'variable_name')?.text;
    if (at < 0 || name === undefined) return;
    const word = node.children[at + 1];
    if (word === undefined || word.type === '}') this.#variables.assign(name, EMPTY, own);
    else this.#variables.assign(name, word, own);
  }

  #assignEach(node: ShellNode, own: Texts): void {
    const name = node.children.find(({ field }) => field === 'variable')?.text;
    if (name === undefined) return;
    for (const value of node.children) {
      if (value.field === 'value') this.#variables.assignEach(name, value, own);
    }
  }

  #declareByCommand(node: ShellNode, own: Texts): void {
    const [name, ...args] = wordNodes(node);
    const plain = args.filter(({ text }) => !text.startsWith('-'));
    if (name?.text === 'alias') {
      for (const { text } of plain) this.#variables.functions.add(text.replace(/=.*/s, ''));
    } else if (name !== undefined && /^(read|mapfile|readarray)$/.test(name.text)) {
      for (const { text } of plain) this.#variables.assign(text, undefined, own);
    } else if (name?.text === 'printf' && args[0]?.text === '-v' && args[1] !== undefined) {
      this.#variables.assign(args[1].text, undefined, own);
    } else if (name?.text === 'set' && args[0]?.text === '--' && args[1] !== undefined) {
      this.#variables.setArguments(args[1]);
    }
  }
}

interface Known {
  readonly variables: Variables;
  readonly runners: ReadonlySet<string>;
  readonly own: Texts;
}

/** Limits code within code: `sh -c "eval '...'"`. */
const MAX_NESTING = 8;

class CommandReader {
  readonly #syntax: ShellSyntax;
  readonly #shell: string;
  readonly #known: Known;
  readonly #commands = new Map<string, ScriptWord>();
  readonly #sources = new Map<string, ScriptWord>();
  readonly #computed = new Map<string, ComputedWord>();
  /** Code already read. */
  readonly #read = new Set<string>();

  constructor(syntax: ShellSyntax, shell: string, known: Known) {
    this.#syntax = syntax;
    this.#shell = shell;
    this.#known = known;
  }

  facts(): Pick<ScriptFacts, 'commands' | 'sources' | 'computed'> {
    return {
      commands: [...this.#commands.values()],
      sources: [...this.#sources.values()],
      computed: [...this.#computed.values()],
    };
  }

  /** @param at the line of the command that contains the code; undefined for a file */
  read(root: ShellNode, at: number | undefined, nesting = 0): void {
    for (const node of nodesOf(root)) {
      if (node.type === 'command') this.#readCommand(node, at ?? node.line, nesting);
    }
  }

  #readCommand(node: ShellNode, line: number, nesting: number): void {
    const [name, ...args] = wordNodes(node);
    if (name === undefined) return;
    const source = isUnderstood(node, name) ? shown(node) : undefined;
    if (/^(\.|source)$/.test(name.text)) {
      for (const [file = ''] of args[0] === undefined ? [] : this.#ways(args[0])) {
        this.#source(file, line, source);
      }
      return;
    }
    // Each of the commands that a variable may have is run.
    const isReplaced = name.text === 'exec' && args[0]?.text.startsWith('-') === false;
    this.#runWays(isReplaced ? args : [name, ...args], line, source, nesting);
  }

  /** Handles commands whose first words may expand to nothing: `$SUDO make`. */
  #runWays(
    nodes: readonly ShellNode[],
    line: number,
    source: string | undefined,
    nesting: number,
  ): void {
    const [name, ...args] = nodes;
    if (name === undefined) return;
    const ways = this.#ways(name);
    const rest = args.flatMap((arg) => this.#ways(arg)[0] ?? []);
    for (const first of ways) {
      if (first.length > 0) this.#run([...first, ...rest], line, source, nesting);
    }
    if (ways.some(({ length }) => length === 0)) this.#runWays(args, line, source, nesting);
  }

  /** Returns the words that a node may expand to: only the known ones, if there are any. */
  #ways(node: ShellNode): string[][] {
    const ways = this.#fields(node);
    const known = ways.filter(([first = '']) => isKnown(first));
    return known.length > 0 ? known : ways;
  }

  #source(file: string, line: number, source: string | undefined): void {
    if (file.includes(COMPUTED)) this.#noteComputed('', source, line);
    else if (isKnown(file) && file !== '') this.#note(this.#sources, file, line);
  }

  /**
   * Returns the words that a node may expand to, for each of its texts. Unquoted texts are split.
   */
  #fields(node: ShellNode): string[][] {
    const texts = textsOf(node, this.#known.variables, this.#known.own);
    const [inner] = node.type === 'command_name' ? node.children : [node];
    const isSplit = inner !== undefined && isUnquoted(inner);
    return texts.map((text) => (isSplit ? split(text) : [text]));
  }

  /** Records the command, and the command that it runs in turn. */
  #run(words: readonly string[], line: number, source: string | undefined, nesting: number): void {
    const [name, ...args] = words;
    if (name === undefined || name === '' || nesting > MAX_NESTING) return;
    if (!isKnown(name)) {
      // The caller provides its own commands. Code that contains an assignment runs nothing.
      const isOwn = name.includes(COMPUTED) || !name.startsWith(GIVEN);
      if (isOwn && !name.includes('=') && !this.#isFunctionOf(name)) {
        this.#noteComputed(startOf(name), source, line);
      }
      return;
    }
    if (this.#known.variables.functions.has(name)) {
      if (this.#known.runners.has(name)) this.#run(args, line, source, nesting + 1);
      return;
    }
    if (isBuiltin(name, this.#shell)) this.#runBuiltin(name, args, line, source, nesting);
    else this.#runProgram(name, args, line, source, nesting);
  }

  #runProgram(
    name: string,
    args: readonly string[],
    line: number,
    source: string | undefined,
    nesting: number,
  ): void {
    if (!isCommandName(name)) return;
    this.#note(this.#commands, name, line);
    const { code, script } = shellArgument(name, args) ?? {};
    if (code !== undefined) this.#readCode(code, line, nesting);
    if (script?.startsWith('/') && isKnown(script)) this.#note(this.#sources, script, line);
    for (const command of wrappedCommands(name, args)) {
      this.#run(command, line, source, nesting + 1);
    }
  }

  #runBuiltin(
    name: string,
    args: readonly string[],
    line: number,
    source: string | undefined,
    nesting: number,
  ): void {
    switch (name) {
      case '.':
      case 'source':
        this.#source(args[0] ?? '', line, source);
        return;
      case 'exec':
        this.#run(behindOptions(args, 'a'), line, source, nesting + 1);
        return;
      case 'command':
        // -v and -V only print what would run.
        if (args.some((arg, at) => /^-[pvV]*[vV]/.test(arg) && at < 2)) return;
        this.#run(behindOptions(args, ''), line, source, nesting + 1);
        return;
      case 'eval':
        this.#readCode(args.join(' '), line, nesting);
        return;
      case 'trap':
        if (args.length > 1) this.#readCode(behindOptions(args, '')[0] ?? '', line, nesting);
        return;
      default:
    }
  }

  #readCode(code: string, line: number, nesting: number): void {
    // Skips code without any known text: `eval $(resize)` and similar print assignments.
    if (nesting >= MAX_NESTING || this.#read.has(code) || /^[\s\ue000\ue001]*$/.test(code)) return;
    this.#read.add(code);
    const root = this.#syntax.parse(code);
    if (root !== undefined) this.read(root, line, nesting + 1);
  }

  /** Returns whether a computed name starts like a function: `run_$action`. */
  #isFunctionOf(name: string): boolean {
    const [start = ''] = /^[\w-]*/.exec(name) ?? [];
    return (
      start !== '' && [...this.#known.variables.functions].some((other) => other.startsWith(start))
    );
  }

  #noteComputed(start: string, text: string | undefined, line: number): void {
    if (text !== undefined && !this.#computed.has(text)) {
      this.#computed.set(text, { text, line, start });
    }
  }

  #note(words: Map<string, ScriptWord>, text: string, line: number): void {
    const known = words.get(text);
    if (known === undefined || known.line > line) words.set(text, { text, line });
  }
}

/**
 * Returns whether a word can be a command name, rather than a remnant of code that was not
 * understood.
 */
function isCommandName(name: string): boolean {
  return /^[\w./+@%,~][\w./+@%,~[\]:-]*$/.test(name) && /\w/.test(name);
}

/**
 * Returns whether a command with an unknown name is a command, rather than code that the grammar
 * does not cover.
 */
function isUnderstood(command: ShellNode, name: ShellNode): boolean {
  const [inner] = name.children;
  if (/^(command_substitution|arithmetic_expansion)$/.test(inner?.type ?? '')) return false;
  if (/^\$[?#$!-]/.test(name.text)) return false;
  const before = command.children[command.children.indexOf(name) - 1];
  return before === undefined || before.end < name.start;
}

/** Returns the text before the first unknown part. */
function startOf(text: string): string {
  return /^[^\ue000\ue001]*/.exec(text)?.[0] ?? '';
}

/** The maximum number of characters of a command in a message. */
const MAX_SHOWN = 40;

/** Returns a command as written in the script, on one line. */
function shown({ text }: ShellNode): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN - 3)}...` : line;
}

function behindOptions(args: readonly string[], values: string): string[] {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') return args.slice(at + 1);
    if (!/^-./.test(arg)) return args.slice(at);
    if (values.includes(arg.at(-1) ?? ' ')) at++;
  }
  return [];
}

/** Returns the name and arguments of a command in order, without assignments and redirections. */
function wordNodes(command: ShellNode): ShellNode[] {
  return command.children.filter(({ field }) => field === 'name' || field === 'argument');
}

/** Yields a node and all nodes below it, in order. */
function* nodesOf(root: ShellNode): Generator<ShellNode> {
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    for (let at = node.children.length - 1; at >= 0; at--) {
      const child = node.children[at];
      if (child !== undefined) open.push(child);
    }
  }
}

/**
 * Drops what follows the end of a script: `exit`, or `exec` of another program, at the top level.
 */
function live(root: ShellNode): ShellNode {
  const end = root.children.findIndex(
    (node) =>
      node.type === 'command' &&
      (/^exit\b/.test(node.text) || (/^exec\s/.test(node.text) && wordNodes(node).length > 1)),
  );
  return end < 0 ? root : withChildren(root, root.children.slice(0, end + 1));
}

function withChildren(node: ShellNode, children: readonly ShellNode[]): ShellNode {
  const end = children.at(-1)?.end ?? node.end;
  const text = node.text.slice(0, end - node.start);
  const { type, field, start, line } = node;
  return { type, field, start, line, end, text, children };
}

function hasError(root: ShellNode): boolean {
  for (const { type } of nodesOf(root)) if (type === 'ERROR') return true;
  return false;
}
