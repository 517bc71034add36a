import type { MissingVersion } from '../../manifest/manifest.js';
import { type DependencyNode, totalOf } from '../../resolve/dependency-tree.js';
import { printsUnicode } from './character-set.js';
import type { Painter } from './colour.js';
import { formatSize, printable } from './text.js';

interface Branches {
  readonly middle: string;
  readonly last: string;
  readonly passing: string;
}

const LINES: Branches = { middle: '├── ', last: '└── ', passing: '│   ' };
const ASCII: Branches = { middle: '|-- ', last: '`-- ', passing: '|   ' };

const VERSION_PROBLEM = {
  undefined: 'not defined',
  unversioned: 'needed, but no symbol has a version',
  undeclared: 'needed for DT_RELR, but not declared',
  'not-loaded': 'needed of a library that is not loaded',
  malformed: 'unknown: malformed tables',
} as const satisfies Readonly<Record<MissingVersion['problem'], string>>;

/** A line of a tree and its node. */
interface TreeLine {
  readonly text: string;
  readonly node?: DependencyNode;
}

/** Formats dependency trees in the manner of tree(1). */
export function treeText(
  roots: readonly DependencyNode[],
  paint: Painter,
  unicode = printsUnicode(),
): string {
  return treeLines(roots, paint, unicode)
    .map(({ text }) => `${text}\n`)
    .join('');
}

/**
 * Formats trees with the size of each file and of everything it needs before its line, each file counted
 * once. The last line is the total of all trees.
 */
export function sizedTreeText(
  roots: readonly DependencyNode[],
  paint: Painter,
  unicode = printsUnicode(),
): string {
  const row = (size: string, total: string, text: string) =>
    `${size.padStart(SIZE_WIDTH)} ${total.padStart(SIZE_WIDTH)}  ${text}`.trimEnd();
  const sizeText = (size: number | undefined) => (size === undefined ? '' : formatSize(size));
  const rows = treeLines(roots, paint, unicode).map(({ text, node }) =>
    row(sizeText(node?.size), sizeText(node?.total), text),
  );
  const lines = [row('SIZE', 'TOTAL', ''), ...rows];
  if (roots.length > 1) lines.push(row('', formatSize(totalOf(roots)), 'all, each file once'));
  return lines.map((line) => `${line}\n`).join('');
}

/** The width of `1023.9 KiB`, the longest size. */
const SIZE_WIDTH = 10;

function treeLines(roots: readonly DependencyNode[], paint: Painter, unicode: boolean): TreeLine[] {
  const branches = unicode ? LINES : ASCII;
  const lines: TreeLine[] = [];
  for (const root of roots) {
    lines.push({ text: nodeText(root, paint), node: root });
    addNeeds(root, '', lines, paint, branches);
  }
  return lines;
}

function addNeeds(
  node: DependencyNode,
  indent: string,
  lines: TreeLine[],
  paint: Painter,
  branches: Branches,
): void {
  node.needs.forEach((need, index) => {
    const isLast = index === node.needs.length - 1;
    const branch = isLast ? branches.last : branches.middle;
    lines.push({ text: `${indent}${branch}${nodeText(need, paint)}`, node: need });
    const below = `${indent}${isLast ? '    ' : branches.passing}`;
    for (const { rule, path } of need.searched ?? []) {
      lines.push({ text: `${below}    ${printable(path)} ${paint('dim', `[${rule}]`)}` });
    }
    addNeeds(need, below, lines, paint, branches);
  });
}

function nodeText(
  { name, path, by, folded, searched, version }: DependencyNode,
  paint: Painter,
): string {
  if (version !== undefined) {
    const where = version.file === undefined ? '' : ` in ${printable(version.file)}`;
    return paint(
      'red',
      `${printable(name)}: version ${printable(version.name)} ${VERSION_PROBLEM[version.problem]}${where}`,
    );
  }
  if (path === undefined) {
    return paint(
      'red',
      `${printable(name)}: not found${searched?.length === 0 ? '' : '; searched'}`,
    );
  }
  const isNamed = name !== '' && name !== path && by !== undefined;
  const text = isNamed ? `${printable(name)} => ${printable(path)}` : printable(path);
  const rule = by === undefined ? '' : ` ${paint('dim', `[${by}]`)}`;
  return `${text}${rule}${folded ? paint('dim', ' ...') : ''}`;
}
