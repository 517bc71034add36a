import type { ReasonChains } from '../../manifest/reason-chains.js';
import { reasonText } from '../../manifest/reason-text.js';
import { printsUnicode } from './character-set.js';
import { printable } from './text.js';

/** The reasons of a file. */
interface FileChains extends ReasonChains {
  readonly path: string;
  /** Options that would also add a file that a run used. */
  readonly otherwise?: readonly string[];
}

/** Formats chains of reasons: each step is below the one that requires it. */
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
  return `  also added by: ${options.map(printable).join(', ')}\n`;
}
