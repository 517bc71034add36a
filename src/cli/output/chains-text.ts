import type { ReasonChains } from '../../manifest/reason-chains.js';
import { reasonText } from '../../manifest/reason-text.js';
import { printsUnicode } from './character-set.js';
import { printable } from './text.js';

/** Why a file is there. */
interface FileChains extends ReasonChains {
  readonly path: string;
  /** Options that would bring it too, of a file that a run used. */
  readonly otherwise?: readonly string[];
}

/** Chains of reasons in lines: each step below the one for whose sake it is there. */
export function chainsText(
  { path, chains, more, otherwise }: FileChains,
  unicode = printsUnicode(),
): string {
  const branch = unicode ? '└─ ' : '`- ';
  const blocks = chains.map((chain) =>
    chain
      .map(({ path: at, reason }, depth) => {
        const indent = depth === 0 ? '  ' : `  ${'   '.repeat(depth - 1)}${branch}`;
        return `${indent}${printable(at)}: ${printable(reasonText(reason))}\n`;
      })
      .join(''),
  );
  const rest = more ? '\n  ... and more chains\n' : '';
  return `${printable(path)}\n${blocks.join('\n')}${rest}${otherwiseText(otherwise)}`;
}

function otherwiseText(options: readonly string[] | undefined): string {
  if (options === undefined) return '';
  if (options.length === 0) return '  not brought by any option other than --include\n';
  return `  also brought by: ${options.map(printable).join(', ')}\n`;
}
