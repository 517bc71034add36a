import { cureWords, type Remedy } from '../../prove/cures.js';
import type { ProofRound } from '../../prove/prove.js';
import { plural, printable } from './text.js';

/** The number of remedies listed, and of causes per remedy. */
const MAX_REMEDIES = 20;
const MAX_LACKS = 3;

/** Returns what a run lacked and how to add it: one remedy a line, the likeliest cause first. */
export function lacksText({
  remedies: all,
  added,
  passes,
}: Pick<ProofRound, 'remedies' | 'added' | 'passes'>): string {
  // Missing names of a listing have done no harm if the run passed.
  const isOfUse = ({ lacks }: Remedy): boolean => lacks.some(({ unlisted }) => !unlisted);
  const remedies = passes ? all.filter(isOfUse) : all;
  if (remedies.length === 0) {
    return passes ? '' : '  the run looked for nothing that the host has and the jail lacks\n';
  }
  const isAdded = new Set(added);
  const shown = remedies.slice(0, MAX_REMEDIES).map((remedy) => {
    const mark = isAdded.has(remedy) ? '+' : remedy.cure.kind === 'secret' ? '!' : ' ';
    return ` ${mark} ${printable(cureWords(remedy.cure))}${forWhat(remedy)}\n`;
  });
  const more = remedies.length - shown.length;
  return [...shown, ...(more > 0 ? [`   and ${more} more\n`] : [])].join('');
}

function forWhat({ cure, lacks }: Remedy): string {
  const names = lacks.slice(0, MAX_LACKS).map(({ path }) => printable(path));
  const more = lacks.length - names.length;
  const by = [...new Set(lacks.flatMap((lack) => lack.by))].slice(0, 1).map(printable);
  const isSame = lacks.length === 1 && 'path' in cure && cure.path === lacks[0]?.path;
  return [
    isSame ? '' : `  for ${names.join(', ')}${more > 0 ? ` and ${plural(more, 'other')}` : ''}`,
    by.length === 0 ? '' : `  (${by[0]})`,
    lacks.some(({ isFatal }) => isFatal) ? '  - failed right after that' : '',
    cure.kind === 'secret' ? '  - withheld: a secret of the host' : '',
  ].join('');
}
