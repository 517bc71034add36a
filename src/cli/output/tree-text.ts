import type { MissingVersion } from '../../manifest/manifest.js';
import type { DependencyNode } from '../../resolve/dependency-tree.js';
import { printsUnicode } from './character-set.js';
import type { Painter } from './colour.js';
import { printable } from './text.js';

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

/** Dependency trees in lines, in the manner of tree(1). */
export function treeText(
  roots: readonly DependencyNode[],
  paint: Painter,
  unicode = printsUnicode(),
): string {
  const branches = unicode ? LINES : ASCII;
  const lines: string[] = [];
  for (const root of roots) {
    lines.push(nodeText(root, paint));
    addNeeds(root, '', lines, paint, branches);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function addNeeds(
  node: DependencyNode,
  indent: string,
  lines: string[],
  paint: Painter,
  branches: Branches,
): void {
  node.needs.forEach((need, index) => {
    const isLast = index === node.needs.length - 1;
    lines.push(`${indent}${isLast ? branches.last : branches.middle}${nodeText(need, paint)}`);
    const below = `${indent}${isLast ? '    ' : branches.passing}`;
    for (const { rule, path } of need.searched ?? []) {
      lines.push(`${below}    ${printable(path)} ${paint('dim', `[${rule}]`)}`);
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
