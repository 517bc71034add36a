import type { ReasonChains } from '../../manifest/reason-chains.js';
import { reasonText } from '../../manifest/reason-text.js';
import { printsUnicode } from './character-set.js';
import { printable } from './text.js';

/** Chains of reasons in lines: each step below the one for whose sake it is there. */
export function chainsText(
  { path, chains, more }: ReasonChains & { readonly path: string },
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
  return `${printable(path)}\n${blocks.join('\n')}${more ? '\n  ... and more chains\n' : ''}`;
}
