import type { DlopenNeed } from '../../elf/notes.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { NotFound } from '../../loader/search-result.js';
import type { MissingLibrary } from '../../manifest/manifest.js';
import type { DlopenChoice } from '../../manifest/request.js';
import type { RunningProcess } from './running-process.js';

/** The order of the priorities. */
export const RANK = { none: 0, required: 1, recommended: 2, suggested: 3 } as const;

/**
 * Opens what an object says in its notes that it opens at run time (systemd, "dlopen() Metadata for
 * ELF Files"). Of several names for one need, the first that is found counts, as for the program.
 *
 * @param choice needs of this priority and of higher ones
 * @returns the required libraries that are not there; others that are not are no loss to anybody
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
