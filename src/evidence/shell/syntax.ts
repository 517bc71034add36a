import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type * as TreeSitter from 'web-tree-sitter';
import { packagedFile } from '../packaged-file.js';

/** A node of a script's syntax tree; types are those of tree-sitter-bash (grammar.js). */
export interface ShellNode {
  readonly type: string;
  /** The node's role in its parent, such as `name` of a command. */
  readonly field: string | undefined;
  readonly text: string;
  /** Offsets of the text in the script. */
  readonly start: number;
  readonly end: number;
  /** From 1. */
  readonly line: number;
  readonly children: readonly ShellNode[];
}

/** Parses shell scripts. */
export interface ShellSyntax {
  /**
   * Returns the syntax tree of a script. Invalid syntax is in nodes of type ERROR.
   *
   * @returns undefined if parsing takes longer than {@link MAX_TIME}
   */
  parse(text: string): ShellNode | undefined;
}

/** In milliseconds. No real script takes a tenth of it. */
const MAX_TIME = 10_000;
const DIRECTORY = 'shell';

let loaded: Promise<ShellSyntax> | undefined;

/**
 * Loads the parser and its grammar, once. This takes 40 ms of CPU time, which only scripts need.
 *
 * @throws Error if the package is incomplete
 */
export function loadShellSyntax(): Promise<ShellSyntax> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<ShellSyntax> {
  const require = createRequire(import.meta.url);
  const parser = await loadParser(
    require(packagedFile(DIRECTORY, 'web-tree-sitter.cjs')) as typeof TreeSitter,
  );
  return {
    parse(text) {
      setOptimiser(false);
      try {
        return parse(parser, text);
      } finally {
        setOptimiser(true);
      }
    },
  };
}

async function loadParser({ Parser, Language }: typeof TreeSitter): Promise<TreeSitter.Parser> {
  setOptimiser(false);
  try {
    await Parser.init({
      wasmBinary: readFileSync(packagedFile(DIRECTORY, 'web-tree-sitter.wasm')),
    });
    const language = await Language.load(
      readFileSync(packagedFile(DIRECTORY, 'tree-sitter-bash.wasm')),
    );
    return new Parser().setLanguage(language);
  } finally {
    setOptimiser(true);
  }
}

/** Flags of V8 that are on by default (node --v8-options). */
const OPTIMISER = ['wasm-tier-up', 'wasm-dynamic-tiering'];

/**
 * Turns V8's optimising compiler for WebAssembly on or off. Optimising the grammar, one large
 * function, costs 650 ms of CPU time, which scripts that are read once never regain.
 */
function setOptimiser(isOn: boolean): void {
  for (const flag of OPTIMISER) setFlagsFromString(isOn ? `--${flag}` : `--no-${flag}`);
}

function parse(parser: TreeSitter.Parser, text: string): ShellNode | undefined {
  const whole = parsePart(parser, { text, start: 0, line: 1 });
  if (whole?.type !== 'ERROR') return whole;
  const parts = partsOf(text).map((part) => parsePart(parser, part));
  if (parts.length < 2 || parts.includes(undefined)) return whole;
  const children = parts.flatMap((part) => part?.children ?? []);
  return { ...whole, text, type: 'program', children };
}

function parsePart(parser: TreeSitter.Parser, part: Part): ShellNode | undefined {
  const last = performance.now() + MAX_TIME;
  const tree = parser.parse(part.text, null, { progressCallback: () => performance.now() > last });
  if (tree === null) {
    parser.reset();
    return undefined;
  }
  try {
    return nodesOf(tree, part);
  } finally {
    tree.delete();
  }
}

/** A piece of a script. */
interface Part {
  readonly text: string;
  readonly start: number;
  readonly line: number;
}

/**
 * Splits a script after each function, so that code unknown to the grammar spoils only one part.
 */
function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let start = 0;
  let line = 1;
  for (const { index } of text.matchAll(/^\}[ \t]*$/gm)) {
    const end = text.indexOf('\n', index) + 1 || text.length;
    const part = text.slice(start, end);
    parts.push({ text: part, start, line });
    line += part.split('\n').length - 1;
    start = end;
  }
  return start < text.length ? [...parts, { text: text.slice(start), start, line }] : parts;
}

/** Copies the tree without recursion, since scripts may nest as deep as they are long. */
function nodesOf(tree: TreeSitter.Tree, { text, start, line }: Part): ShellNode {
  const cursor = tree.walk();
  const open: ShellNode[][] = [];
  let root: ShellNode | undefined;
  for (;;) {
    const children: ShellNode[] = [];
    const { nodeType, startIndex, endIndex } = cursor;
    const node: ShellNode = {
      type: nodeType,
      field: cursor.currentFieldName ?? undefined,
      start: start + startIndex,
      end: start + endIndex,
      get text() {
        return text.slice(startIndex, endIndex);
      },
      line: cursor.startPosition.row + line,
      children,
    };
    root ??= node;
    open.at(-1)?.push(node);
    if (cursor.gotoFirstChild()) {
      open.push(children);
      continue;
    }
    while (!cursor.gotoNextSibling()) {
      if (open.pop() === undefined || !cursor.gotoParent()) {
        cursor.delete();
        return root;
      }
    }
  }
}
