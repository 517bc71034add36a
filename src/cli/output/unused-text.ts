import type { UnusedFiles } from '../../manifest/unused-files.js';
import { formatSize, plural, printable } from './text.js';

/** Lists what no run used: a line with the total, and one for each package. */
export function unusedText({ unused, total, groups, runs, incomplete }: UnusedFiles): string {
  const lines = groups.map((group) => {
    const name = group.package ?? 'files of no package';
    return `  ${formatSize(group.size).padStart(10)}  ${plural(group.paths.length, 'file')} of ${printable(name)}\n`;
  });
  const by = runs.length > 1 ? ` by any of ${runs.length} proofs` : '';
  const unread =
    incomplete === 0
      ? ''
      : `, or used where that could not be read (${plural(incomplete, 'time')})`;
  return `jailbuild: unused${by}: ${plural(unused.files, 'file')}, ${formatSize(unused.size)} of ${formatSize(total.size)}${unread}\n${lines.join('')}`;
}
