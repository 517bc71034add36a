import type { DlopenNeed } from '../../elf/notes.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { NotFound } from '../../loader/search-result.js';
import type { MissingLibrary } from '../../manifest/manifest.js';
import type { DlopenChoice } from '../../manifest/request.js';
import type { RunningProcess } from './running-process.js';

/** The rank of each priority. */
export const RANK = { none: 0, required: 1, recommended: 2, suggested: 3 } as const;

/**
 * Opens what an object declares in its notes to open at run time (systemd, "dlopen() Metadata for
 * ELF Files"). Of several names for one need, the first one found is used, as the program does.
 *
 * @param choice needs of this priority or higher
 * @returns the required libraries that do not exist; others may be missing
 */
export function openNotedLibraries(
  process: RunningProcess,
  by: LoadedObject,
  needs: readonly DlopenNeed[],
  choice: DlopenChoice,
): MissingLibrary[] {
  return needs.flatMap((need) => {
    if (RANK[need.priority] > RANK[choice]) return [];
    const { priority, feature } = need;
    const searched: NotFound['searched'][number][] = [];
    for (const name of need.sonames) {
      const notFound = process.open(name, by, ({ rule }) => ({
        kind: 'dlopen',
        by: by.trace.path,
        name,
        rule,
        priority,
        ...(feature === undefined ? {} : { feature }),
      }));
      if (notFound === undefined) return [];
      searched.push(...notFound.searched);
    }
    if (priority !== 'required') return [];
    return [{ name: need.sonames.join(' or '), neededBy: by.trace.path, searched }];
  });
}
